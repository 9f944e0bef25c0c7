"""`ssl-bench logs`: what a job said, or why jobs failed."""

from __future__ import annotations

from pathlib import Path

import click

from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.errors import EXIT_OK, UsageError
from ssl_bench.settings import Resolved


@click.command(name="logs")
@click.argument("jobs", nargs=-1, type=click.IntRange(min=0))
@click.option("--plan", type=click.Path(path_type=Path), help="File or folder of the plan [the last of `run`].")
@with_settings(PLACES)
def command(jobs: tuple[int, ...], plan: Path | None, resolved: Resolved) -> int:
    """Print what JOBS said, by their numbers in the plan; without a number, why each job failed.

    \b
    Examples:
      ssl-bench logs
      ssl-bench logs 12 --plan plan.json
    """
    from ssl_bench.plans import job_status, plan_file
    from ssl_bench.plans.job_files import JobFiles

    folder = job_status.find(plan, resolved.settings.cache)
    read = plan_file.read(plan if plan is not None and plan.is_file() else folder)
    files = JobFiles(folder)
    for index in jobs:
        read.job(index)
        try:
            click.echo(files.path(index, "log").read_text(encoding="utf-8"), nl=False)
        except OSError as error:
            raise UsageError(f"job {index} has no log in {files.folder}: it has not begun") from error
    if not jobs:
        failed = job_status.read(read, folder).failed
        for index in failed:
            for said in files.report(index).get("errors", ()):
                click.echo(f"{index}\t{said['job']}\t{said['error']}")
        click.echo(f"{len(failed)} of {len(read.jobs)} jobs failed", err=True)
    return EXIT_OK
