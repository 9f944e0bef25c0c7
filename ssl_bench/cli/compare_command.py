"""`ssl-bench compare`: what regressed between two sets of records."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import tasks as task_cards
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table
from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.files import write_text
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.comparison import Comparison
    from ssl_bench.comparison.margins import Policy
    from ssl_bench.comparison.page import Image
    from ssl_bench.comparison.sources import Source

BATCH_SIZES = (7, 16, 33, 64, 128, 1)
"""Of the runs that calibrate, one after another."""


@click.command(name="compare")
@click.argument("sides", nargs=-1)
@click.option("--model", "-m", "models", multiple=True, help="Only this model; given twice: base's, the candidate's.")
@click.option("--suite", "-s", default="", help="Only this suite's tasks, and its margins.")
@click.option("--task", "-t", "tasks", multiple=True, help="Only this task; repeatable.")
@click.option("--question", type=click.Choice(["code", "method"]), help="Same weights, or two networks. [code]")
@click.option("--margin", help="What a task may lose: 0.3pt, or in its own unit. [0.3pt]")
@click.option("--suite-margin", help="What the mean over tasks may lose. [0.2pt]")
@click.option("--alpha", type=float, help="False alarms in how many comparisons. [0.05]")
@click.option("--strict", is_flag=True, help="Exit with 4 where a verdict is inconclusive.")
@click.option("--allow", multiple=True, help="Field that may differ: protocol.version, missing, seeds, truncated …")
@click.option("--conditional-on-seed", "conditional", is_flag=True, help="Take fewer than three seeds for enough.")
@click.option("--samples-from", multiple=True, type=click.Path(path_type=Path), help="Folder with more predictions.")
@click.option("--samples", "flips", type=click.IntRange(0), default=20, show_default=True, help="Flips named per task.")
@click.option("--baselines", type=click.Path(path_type=Path), help="Folder of named baselines. [baselines]")
@click.option("--md", type=click.Path(path_type=Path), help="Markdown to write, for a pull request's comment.")
@click.option("--junit", type=click.Path(path_type=Path), help="JUnit XML to write.")
@click.option("--html", type=click.Path(path_type=Path), help="Page to write, with the samples that flipped.")
@click.option("--images", is_flag=True, help="Put the flipped images into the page; their licences stay as they are.")
@click.option("--github", is_flag=True, help="Print annotations; write step summary and outputs.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option("--calibrate", type=click.IntRange(1), help="Run base's jobs N times again, keep what is harmless, stop.")
@with_settings(PLACES)
def command(sides: tuple[str, ...], resolved: Resolved, **given: Any) -> int:
    """Compare two sets of records, sample by sample: BASE CAND, or BASE..CAND.

    A side is a folder, s3://bucket/prefix, a packed file, git:REF:PATH or baseline:NAME. With one side and two models,
    these are compared. Exits with 0 where nothing regressed, 1 where something did, 4 under --strict where the data
    cannot tell, 5 where the sides answer different questions. Margins may stand in ./ssl-bench.toml under [compare] and
    [compare.SUITE].

    \b
    Examples:
      ssl-bench compare git:origin/main:results results --md comment.md
      ssl-bench compare baseline:main cand --suite vtab --strict
      ssl-bench compare results -m mae_vitb16 -m dinov2_vitb14
      ssl-bench compare results --calibrate 5
    """
    from ssl_bench.comparison import calibration, examine, sources
    from ssl_bench.comparison.margins import policy

    settings = resolved.settings
    folder = given["baselines"] or sources.BASELINES
    left, right = _sides(sides, given["models"], calibrating=bool(given["calibrate"]))
    base = sources.get(left, folder)
    flags = {key: given[key] for key in ("margin", "suite_margin", "alpha")}
    rules = policy(given["suite"], flags | ({"on_inconclusive": "fail"} if given["strict"] else {}))
    if given["calibrate"]:
        return _calibrate(base, given["calibrate"], rules, folder, settings)
    found = examine(
        base,
        base if right is None else sources.get(right, folder),
        rules,
        suite=given["suite"],
        question=given["question"] or ("method" if len(set(given["models"])) == 2 else "code"),
        models=given["models"],
        tasks=_tasks(given["suite"], given["tasks"], settings),
        allow=given["allow"],
        conditional=given["conditional"],
        further=(*given["samples_from"], settings.results),
    )
    kept = calibration.read(folder)
    found = dataclasses.replace(found, calibration=calibration.said(kept, base.records))
    _report(found, settings, **{key: given[key] for key in REPORTS})
    return found.exit_code


REPORTS = ("flips", "md", "junit", "html", "images", "github", "as_json")
"""Options that say how a comparison is told."""


def _sides(words: tuple[str, ...], models: tuple[str, ...], calibrating: bool) -> tuple[str, str | None]:
    """Return both sides, of which the second is None where one set holds both."""
    if len(words) == 1 and not Path(words[0]).exists() and (cut := re.search(r"(?<![/.])\.\.(?![/.])", words[0])):
        words = (words[0][: cut.start()], words[0][cut.end() :])
    if len(words) == 2 and all(words):
        return words[0], words[1]
    if len(words) == 1 and (calibrating or len(models) == 2):
        return words[0], None
    raise click.UsageError("Name two sides, BASE CAND or BASE..CAND; or one side and two of its models with --model.")


def _tasks(suite: str, tasks: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    inside = task_cards.get_suite(suite, settings.shelves).tasks if suite else ()
    return tuple(name for name in inside if not tasks or name in tasks) or tasks


def _report(
    found: Comparison,
    settings: Settings,
    *,
    flips: int,
    md: Path | None,
    junit: Path | None,
    html: Path | None,
    images: bool,
    github: bool,
    as_json: bool,
) -> None:
    """Write every report that was asked for, and print the table."""
    from ssl_bench.comparison import github as github_words
    from ssl_bench.comparison.junit import junit as junit_text
    from ssl_bench.comparison.markdown import markdown

    if md:
        write_text(md, markdown(found, flips=flips))
    if junit:
        write_text(junit, junit_text(found))
    if html:
        from ssl_bench.comparison.page import html as page

        write_text(html, page(found, _class_names(found, settings), _images(found, settings) if images else None))
    if as_json:
        echo_json(found.to_json())
    else:
        _echo(found)
    if github:
        github_words.write(found)
        for line in github_words.commands(found):
            click.echo(line, err=as_json)


def _echo(found: Comparison) -> None:
    from ssl_bench.comparison import words

    if found.mismatches:
        for wrong in found.mismatches:
            click.echo(f"error: {wrong}", err=True)
        click.echo("The two sides cannot be compared; --allow FIELD lets one of these differ.", err=True)
        return
    rows: list[tuple[Any, ...]] = [
        (
            one.model,
            one.name,
            one.protocol,
            f"{one.n:,}",
            words.value(one.base, one.unit),
            words.value(one.cand, one.unit),
            words.delta(one),
            words.flips(one),
            words.probability(one.p_holm),
            words.verdict(one),
        )
        for one in found.tasks
    ]
    rows += [
        (
            one.model,
            f"mean of {one.tasks}",
            one.protocol,
            "",
            words.value(one.base, one.unit),
            words.value(one.cand, one.unit),
            words.delta(one),
            "",
            words.probability(one.p_holm),
            words.verdict(one),
        )
        for one in found.suites
    ]
    header = ("model", "task", "protocol", "n", "base", "cand", "Δ and interval", "flips -/+", "p (Holm)", "verdict")
    echo_table(header, rows, (3, 4, 5))
    for line in words.plain_lines(found):
        click.echo(line, err=True)
    click.echo(f"{found.verdict}: {words.summary(found)}", err=True)


# ---------------------------------------------------------------- pictures


def _class_names(found: Comparison, settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return the class names that cards of the compared tasks hold."""
    names = {}
    for task in {one.task for one in found.tasks}:
        try:
            names[task] = task_cards.get(task, settings.shelves).class_names
        except SslBenchError:
            continue  # a record outlives its card
    return names


def _images(found: Comparison, settings: Settings) -> Image:
    """Return what shows a flipped sample, for tasks whose data is here; say what is shown under which licence."""
    from ssl_bench import datasets, look

    shown: dict[str, Callable[[str], str]] = {}
    for task in sorted({one.task for one in found.tasks if one.flips}):
        try:
            card = task_cards.get(task, settings.shelves)
            split = datasets.load(card, settings.data)["test"]
        except SslBenchError as error:
            click.echo(f"no images of {task}: {error}", err=True)
            continue
        click.echo(f"images of {task} are in the page; licence: {card.source.licence or 'not stated'}", err=True)
        place = {name: position for position, name in enumerate(split.ids)}
        shown[task] = lambda name, split=split, place=place: (  # type: ignore[misc]
            look.thumbnail(split, place[name]) if name in place else ""
        )
    return lambda one, flip: shown[one.task](flip.sample) if one.task in shown else ""


# ---------------------------------------------------------------- A/A runs


def _calibrate(base: Source, runs: int, rules: Policy, folder: Path, settings: Settings) -> int:
    """Run every job of base again, under other batch sizes and without a cache, and keep what it differs by."""
    from ssl_bench.comparison import calibration, examine, sources, words
    from ssl_bench.results.describe import command as words_of

    jobs = dict.fromkeys(words_of(record) for record in base.records)
    found = []
    for run in range(runs):
        with tempfile.TemporaryDirectory(prefix="ssl-bench-") as scratch:
            for job in jobs:
                _run_again(job, Path(scratch), BATCH_SIZES[run % len(BATCH_SIZES)], settings)
            found.append(examine(base, sources.get(Path(scratch) / "results"), rules, allow=("truncated",)))
        click.echo(f"[{run + 1}/{runs}] {words.summary(found[-1])}", err=True)
    for one in found:
        if one.mismatches:
            raise UsageError(f"a repeated run answers another question: {one.mismatches[0]}")
    kept = calibration.measure(found, base.records)
    click.echo(calibration.keep(kept, folder))
    click.echo(calibration.said(kept, base.records), err=True)
    return 0


def _run_again(job: str, scratch: Path, batch_size: int, settings: Settings) -> None:
    import shlex

    places = {"--results": scratch / "results", "--cache": scratch / "cache", "--data": settings.data}
    words = [sys.executable, "-m", "ssl_bench", *shlex.split(job)[1:], "--batch-size", str(batch_size)]
    environment = {**os.environ, "SSL_BENCH_PROGRESS": "none"}
    for option, path in places.items():
        environment[f"SSL_BENCH_{option[2:].upper()}"] = str(path)
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise MissingError(f"`{job}` failed when run again: {(done.stderr.splitlines() or ['no reason given'])[-1]}")
