"""Words in, calls out. A command's module is imported when the command is named, and nothing heavy for `--help`."""

from __future__ import annotations

import importlib
import os
import shlex
import sys

import click

from ssl_bench import __version__
from ssl_bench.errors import EXIT_USAGE, SslBenchError, did_you_mean

COMMANDS = {
    "run": "Measure models on tasks and write one record per job.",
    "plan": "Say what a run would do: jobs, cached, missing, time; or write it for an engine.",
    "run-job": "Do one job of a written plan, for any engine.",
    "status": "Say how far the jobs of a plan have come.",
    "logs": "Say why jobs of a plan failed, or print what one said.",
    "fetch": "Get the weights and data of models and tasks.",
    "data": "What data there is, how to get it, and whether it is whole.",
    "look": "Write a page of what a network would see of a task.",
    "list": "List models, tasks, suites, protocols, metrics.",
    "show": "Show a model, task, suite, protocol or record.",
    "model": "Look into a checkpoint file, convert it, tell its digests.",
    "results": "List, show, ask, export, compare, pack and withdraw records.",
    "compare": "Say what regressed between two sets of records.",
    "submit": "Bundle a model's records for the board, checked as the board does.",
    "verify": "Do again what a bundle or records claim.",
    "power": "Say which differences a comparison could see.",
    "baseline": "Keep named sets of records to compare with.",
    "board": "Render records as one HTML page and as tables.",
    "serve": "Serve the board and its pages to a browser of this machine.",
    "schema": "Print the JSON Schema of records, plans and cards.",
    "cache": "Look at the feature cache, check it, make room.",
    "demo": "Run the whole way on real data, offline, in a minute.",
    "doctor": "Check packages, devices, folders and shelves.",
    "new": "Write a working card or file for a model, task or protocol.",
    "completion": "Print the shell completion script.",
}
GROUPS = {
    "Measure": ("run", "plan", "run-job", "status", "logs", "fetch", "data"),
    "Look": ("look", "list", "show", "model", "results", "board", "serve", "schema", "cache"),
    "Compare": ("compare", "power", "baseline"),
    "Hand in": ("submit", "verify"),
    "Start": ("demo", "doctor", "new", "completion"),
}
INTERRUPTED = 130
EXIT_CODES = """\b
Exit codes:
  0    done
  1    a task or the mean regressed (compare), two stores differ (results diff), a claim fails (verify)
  2    a wrong word, card or file
  3    a job failed; the others are done
  4    the data cannot tell (compare --strict)
  5    records that answer different questions
  6    data, weights, a package, disk space or a permission is missing
  130  interrupted; what was finished is kept
"""


class LazyGroup(click.Group):
    """A group whose commands live in modules of the same name, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ssl_bench.cli.{cmd_name}_command".replace("-", "_"))
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command is called {args[0]!r}.{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name]) for name in names])


@click.group(
    cls=LazyGroup,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, message="ssl-bench %(version)s")
def cli() -> None:
    """Transfer evaluation of pretrained vision backbones by their published protocols.

    \b
    Examples:
      ssl-bench demo                                          the whole way on real data, offline
      ssl-bench run --model dinov2_vitb14 --suite vtab        a model and a suite, from names to records
      ssl-bench run --model ckpt:w.pth,family=cifar_resnet --task cifar10_jpeg --protocol knn
      ssl-bench run --model dinov2_vitb14 --data ./my_images  your own folder of classes
      ssl-bench plan --model 'dinov2_*' --suite vtab          what that would do, and what is missing
      ssl-bench board --html board.html                       the records as a page
      ssl-bench compare main_results results                  what regressed since
    """


def main() -> None:
    """Run the command line; errors that a user can cause become one line on stderr and an exit code."""
    # OpenMP's threads wait actively for long by default, which is ruinous beside another process, and not at all under
    # OMP_WAIT_POLICY=passive, which is slow alone; `benchmarks/openmp_waiting.py` prints what lies between. The
    # libraries read this when they are loaded.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        result = cli.main(standalone_mode=False)
    except SslBenchError as error:
        sys.exit(_fail(str(error), error.exit_code))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "ssl-bench"
        sys.exit(_fail(f"{error.format_message()} See `{command} --help`.", EXIT_USAGE))
    except click.ClickException as error:
        sys.exit(_fail(error.format_message(), EXIT_USAGE))
    except (click.Abort, KeyboardInterrupt):
        again = shlex.join(["ssl-bench", *sys.argv[1:]])
        print(
            f"\ninterrupted. What was finished is kept; the same command goes on from there:\n{again}", file=sys.stderr
        )
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)


def _fail(message: str, code: int) -> int:
    for line in message.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return code
