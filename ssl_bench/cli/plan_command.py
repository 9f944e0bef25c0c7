"""`ssl-bench plan`: what a run would do, without doing it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

import click

from ssl_bench.cli.options import PLACES, WORK, print_config, with_request, with_settings
from ssl_bench.cli.tables import duration, echo_json, echo_table
from ssl_bench.errors import EXIT_MISSING, EXIT_OK
from ssl_bench.files import megabytes
from ssl_bench.jobs import Request, expand
from ssl_bench.plans import dividing, plan_file
from ssl_bench.plans.dividing import SHARD_IMAGES
from ssl_bench.plans.planner import Planned, Planner, State, missing_lines
from ssl_bench.settings import Resolved

STATES = {
    "done": "have records",
    "probe": "need only probes",
    "extract": "must extract",
    "missing": "lack something",
    "skip": "are skipped",
}


@click.command(name="plan")
@with_request
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="Write what is left to do as a plan for run-job.")
@click.option("--shard-images", type=click.IntRange(min=1), default=SHARD_IMAGES, help="Images of one extract job.")
@click.option("--print-config", "config", is_flag=True, help="Print every setting and its origin, and stop.")
@with_settings(PLACES, WORK)
def command(
    request: Request, resolved: Resolved, as_json: bool, out: Path | None, shard_images: int, config: bool
) -> int:
    """Say what a run would do: jobs, what is cached, what is missing and how to get it, and how long it takes.

    With --out it writes a plan that any engine can work off, a job at a time, with `ssl-bench run-job`. Exits with 6
    where something is missing; no plan is written then.

    \b
    Examples:
      ssl-bench plan --model dinov2_vitb14 --suite vtab
      ssl-bench plan --model 'dinov2_*' --suite vtab --out plan.json
    """
    if config:
        print_config(resolved)
        return EXIT_OK
    planner = Planner(resolved.settings)
    planned = planner.plan(expand(request, resolved.settings))
    rows: list[Any] = [as_row(item) for item in planned]
    if as_json:
        echo_json(rows)
    else:
        shown = ("model", "task", "protocol", "seed", "state", "images")
        echo_table(shown, [tuple(row[key] for key in shown) for row in rows], numeric=(3, 5))
        echo_summary(planned)
    if any(item.lacks for item in planned):
        return EXIT_MISSING
    if out is not None:
        plan = dividing.divide(planned, planner, resolved.settings, shard_images)
        plan_file.write(plan, out)
        click.echo(f"{out}: {len(plan.jobs)} jobs; ssl-bench run-job {out} --index 0 does the first", err=True)
    return EXIT_OK


class Row(TypedDict):
    """A job, and what is known of it before anything is computed."""

    model: str
    task: str
    protocol: str
    seed: int
    state: State
    """done: its record is there; probe: all features are cached; extract: images must pass the network first; missing:
    weights or data are not on this machine; skip: its task cannot be asked by its recipe."""
    images: int | Literal["?"]
    """Images still to pass the network; "?" where that is not known yet."""
    seconds: float | None
    """Estimated time of the extraction, from measured throughput."""
    bytes: int | None
    """Size of the features that are extracted; null where it was never noted."""
    lacks: list[str]
    """What is missing, a line each."""
    reason: str
    """Why the job is skipped; empty where it is not."""


def as_row(item: Planned) -> Row:
    """Return a planned job as plain values."""
    return {
        "model": item.job.model.name,
        "task": item.job.task.name,
        "protocol": item.job.protocol_name,
        "seed": item.job.seed,
        "state": item.state,
        "images": "?" if item.images is None else item.images,
        "seconds": item.seconds,
        "bytes": None if item.bytes is None else round(item.bytes),
        "lacks": list(item.lacks),
        "reason": item.reason,
    }


def echo_summary(planned: Sequence[Planned]) -> None:
    """Print the counts, the time that is known, and each missing thing once, on stderr."""
    counts = Counter[str](item.state for item in planned)
    parts = [f"{counts[state]} {words}" for state, words in STATES.items() if counts[state]]
    click.echo(f"{len(planned)} jobs: {', '.join(parts)}", err=True)
    images = sum(item.images or 0 for item in planned)
    if images:
        known = [item.seconds for item in planned if item.images]
        time = duration(sum(s for s in known if s)) if all(s is not None for s in known) else "not measured yet"
        sizes = [item.bytes for item in planned if item.images]
        room = f", {megabytes(sum(size or 0 for size in sizes))} of features" if None not in sizes else ""
        click.echo(f"{images} images to extract{room}; time: {time}", err=True)
    for item in planned:
        if item.reason:
            click.echo(f"skipped: {item.job.label}: {item.reason}", err=True)
    for line in missing_lines(planned):
        click.echo(f"missing: {line}", err=True)
