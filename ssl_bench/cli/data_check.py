"""`ssl-bench data check`: whether a task's data are whole, and what its splits share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import own_data, tasks
from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.cli.tables import echo_facts, echo_json
from ssl_bench.errors import EXIT_OK, EXIT_USAGE, SslBenchError, UsageError
from ssl_bench.progress import Progress, choose
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.datasets.checks import Pair
    from ssl_bench.tasks import TaskCard

SHOWN = 10
"""Lines of a kind that are printed; `--json` has all."""


@dataclasses.dataclass
class Report:
    """What was found out about a task's data."""

    task: str
    faults: list[str] = dataclasses.field(default_factory=list)
    """What somebody must mend, a line each."""
    samples: dict[str, int] = dataclasses.field(default_factory=dict)
    task_digest: str = ""
    vouched: bool = False
    """The card says the same numbers of samples, and the same digest if it says one."""
    empty_classes: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    same_bytes: list[Pair] = dataclasses.field(default_factory=list)
    same_picture: list[Pair] | None = None
    """None: not looked for."""
    alike: list[Pair] | None = None
    """None: no model was asked."""
    exit_code: int = EXIT_OK


@click.command(name="check")
@click.argument("names", nargs=-1)
@click.option("--suite", "-s", default="", help="Suite whose data to check.")
@click.option("--duplicates", is_flag=True, help="Also look for images that are nearly the same in two splits.")
@click.option("--model", "-m", default="", help="Also look for images that this model finds alike.")
@click.option("--alike", type=click.FloatRange(0, 1), default=0.98, show_default=True, help="Least cosine of such.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES, WORK)
def check(
    names: tuple[str, ...], suite: str, duplicates: bool, model: str, alike: float, resolved: Resolved, as_json: bool
) -> int:
    """Read and decode every image of tasks: counts, labels, digests, broken images, and images that two splits share.

    NAMES are tasks, cards' files or folders of images. Exits with 2 where something must be mended, and with 6 where
    data is missing. Shared images are told and change no exit code, since published splits have them too.

    \b
    Examples:
      ssl-bench data check cifar10_jpeg eurosat_3500
      ssl-bench data check ./my_folder --duplicates
      ssl-bench data check ./my_folder --model dinov2_vits14 --alike 0.99
    """
    settings = resolved.settings
    wanted = [*(tasks.get_suite(suite, settings.shelves).tasks if suite else ()), *names]
    if not wanted:
        raise UsageError("nothing to check is named; give the names of tasks or folders, or --suite")
    reports = []
    for name in dict.fromkeys(wanted):
        report = _checked(own_data.get(name, settings.shelves), settings, duplicates or bool(model), model, alike)
        reports.append(report)
        if not as_json:
            _echo(report)
    if as_json:
        echo_json([dataclasses.asdict(report) for report in reports])
    return max(report.exit_code for report in reports)


def _checked(card: TaskCard, settings: Settings, duplicates: bool, model: str, alike: float) -> Report:
    """Return the report on a task; what stops the check is a fault of it."""
    report = Report(card.name)
    try:
        _check(report, card, settings, duplicates, choose(settings.progress))
        if model:
            report.alike = _alike(card, settings, model, alike)
    except SslBenchError as error:
        report.faults.append(str(error).removeprefix(f"task {card.name!r}: "))
        report.exit_code = error.exit_code
    else:
        report.exit_code = EXIT_USAGE if report.faults else EXIT_OK
    return report


def _check(report: Report, card: TaskCard, settings: Settings, duplicates: bool, progress: Progress) -> None:
    from ssl_bench import datasets
    from ssl_bench.datasets import checks, index

    splits = datasets.load(card, settings.data)
    report.samples = {role: len(split) for role, split in splits.items()}
    total = sum(report.samples.values())
    with progress.track(f"{card.name}: reading", total) as advance:
        seen = checks.look(splits, advance)
    report.faults += checks.undecodable(seen)
    report.faults += checks.wrong_targets(card, splits) if not report.faults else []
    digests = checks.digests(seen)
    if digests is None or (report.faults and any(split.targets is not None for split in splits.values())):
        return
    known = index.keep(card, settings.data, settings.cache, splits, digests)
    report.task_digest = known.task_digest
    disagreements = checks.disagreements(card, splits, known.task_digest)
    report.faults += disagreements
    report.vouched = not disagreements and bool(card.source.samples)
    report.empty_classes = checks.empty_classes(card, splits)
    report.same_bytes = checks.equal_pairs(splits, digests)
    if duplicates:
        report.same_picture = checks.near_pairs(splits, seen)


def _alike(card: TaskCard, settings: Settings, model: str, at_least: float) -> list[Pair]:
    from ssl_bench import datasets
    from ssl_bench.cli.look_command import trial_of
    from ssl_bench.datasets import checks

    trial = trial_of(model, card, settings)
    splits = datasets.load(card, settings.data)
    return checks.alike_pairs(splits, {role: trial.features(role) for role in splits}, at_least)


def _echo(report: Report) -> None:
    """Print a report; its faults come first."""
    words = f"{len(report.faults)} {'fault' if len(report.faults) == 1 else 'faults'}" if report.faults else "whole"
    click.secho(f"{report.task}: {words}", bold=True)
    facts: dict[str, object] = {"fault": _some(report.faults)}
    if report.samples:
        counts = ", ".join(f"{role} {count:,}" for role, count in report.samples.items())
        facts["samples"] = f"{counts}{', as the card says' if report.vouched else ''}"
        facts["digest"] = report.task_digest
    if report.task_digest:
        facts["no sample of"] = [f"{role}: {_list(names)}" for role, names in report.empty_classes.items()]
        facts |= _shared("same bytes", report.same_bytes)
        facts |= _shared("same picture", report.same_picture)
        facts |= _shared("alike", report.alike)
    echo_facts(facts, indent=2)


def _shared(what: str, pairs: Sequence[Pair] | None) -> Mapping[str, Any]:
    """Return what two splits share as a fact: how many samples, and some of them."""
    if pairs is None:
        return {}
    if not pairs:
        return {what: "none in two splits"}
    other = sum(not pair.labels_agree for pair in pairs)
    mark = f", {other:,} of them under another label" if other else ""
    head = f"{len(pairs):,} {'sample has' if len(pairs) == 1 else 'samples have'} one in an earlier split{mark}"
    return {what: [head, *_some([_line(pair) for pair in pairs])]}


def _line(pair: Pair) -> str:
    mark = "" if pair.labels_agree else "  another label"
    degree = f"  {pair.cosine:.3f}" if pair.cosine < 1 else ""
    return f"{pair.split} {pair.sample} ~ {pair.other_split} {pair.other}{degree}{mark}"


def _some(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _list(names: Sequence[str]) -> str:
    return ", ".join([*names[:SHOWN], *([f"and {len(names) - SHOWN} more classes"] if len(names) > SHOWN else [])])
