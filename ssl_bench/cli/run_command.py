"""`ssl-bench run`: from names to records."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import distributed, interrupts
from ssl_bench.cli.execution import print_choice, run_on, with_executor
from ssl_bench.cli.options import MIRROR, PLACES, WORK, print_config, with_request, with_settings
from ssl_bench.cli.plan_command import echo_summary
from ssl_bench.cli.tables import duration, echo_table, headed, interval, number
from ssl_bench.errors import EXIT_JOBS_FAILED, EXIT_OK, MissingError, SslBenchError
from ssl_bench.executors import Choice
from ssl_bench.files import canonical_json
from ssl_bench.jobs import Job, Request, expand
from ssl_bench.outcome import Outcome
from ssl_bench.plans.planner import Planned, Planner, missing_lines
from ssl_bench.progress import Progress, choose
from ssl_bench.runner import run_planned
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.results.record import Record

HERE = Choice()
"""This process does all jobs, one after another."""


@click.command(name="run")
@with_request
@click.option("--dry-run", is_flag=True, help="Say what would be done, and stop (as `plan`).")
@click.option("--fetch", "fetching", is_flag=True, help="First get the weights and data that are missing.")
@MIRROR
@click.option("--fail-fast", is_flag=True, help="Stop at the first job that fails.")
@click.option("--json", "as_json", is_flag=True, help="Print the records as JSON lines on stdout.")
@click.option("--print-config", "config", is_flag=True, help="Print every setting and its origin, and stop.")
@with_executor
@with_settings(PLACES, WORK)
def command(
    request: Request,
    resolved: Resolved,
    choice: Choice,
    dry_run: bool,
    fetching: bool,
    fail_fast: bool,
    as_json: bool,
    config: bool,
    retry_failed: bool,
    detach: bool,
) -> int:
    """Measure models on tasks by protocols, and write one record per job.

    Running the same command again does only what is missing; a run that was killed goes on where it was.
    Exits with 2 for a wrong word, 3 where a job failed (the others are done), 6 where data or weights are missing.

    \b
    Examples:
      ssl-bench run --model dinov2_vitb14 --suite vtab
      ssl-bench run --model dinov2_vits14 --task vtab1k_cifar100 --fetch
      ssl-bench run -m digits_vit -m pixels --task digits --protocol knn
      ssl-bench run -m 'dinov2_*' --suite vtab --executor slurm --executor-option partition=gpu
      ssl-bench run -m pixels,size=28,channels=grey -t mnist -p knn,k=1,distance=euclidean,weighting=uniform
    """
    if config:
        print_config(resolved)
        print_choice(choice)
        return EXIT_OK
    settings = resolved.settings
    planned = Planner(settings).plan(expand(request, settings))
    if fetching and not dry_run and any(item.lacks for item in planned):
        _fetch(planned, settings)
        planned = Planner(settings).plan(expand(request, settings))
    lacking = any(item.lacks for item in planned)
    if dry_run or lacking:
        echo_summary(planned)
        if lacking:
            raise MissingError(_missing_text(planned))
        return EXIT_OK
    how = {"retry_failed": retry_failed, "detach": detach}
    outcome = execute(planned, settings, choice, fail_fast=fail_fast, quiet=as_json, **how)
    if as_json and not distributed.rank():
        for record in [*outcome.present, *outcome.written]:
            click.echo(canonical_json(record.to_json()))
    for skipped in outcome.skipped:
        click.echo(f"skipped: {skipped.job.label}: {skipped.error}", err=True)
    for failure in outcome.failures:
        click.echo(f"failed: {failure.job.label}: {failure.error}", err=True)
    return _exit_code(outcome, len(planned))


def _fetch(planned: list[Planned], settings: Settings) -> None:
    """Get what a plan lacks, as `ssl-bench fetch` does, and say what could not be had."""
    from ssl_bench.fetch import fetch_all, fetch_subsets

    jobs = [item.job for item in planned if item.lacks]
    models = {job.model.name: job.model for job in jobs}
    tasks = {job.task.name: job.task for job in jobs}
    names, progress = [name for job in jobs for name in job.protocol.subsets], choose(settings.progress)
    done = [*fetch_all(models.values(), tasks.values(), settings, progress), *fetch_subsets(names, settings, progress)]
    for what, found in done:
        if isinstance(found, SslBenchError):
            click.echo(f"{what}: {found}", err=True)


def _exit_code(outcome: Outcome, jobs: int) -> int:
    """A run in which every job failed for one and the same reason exits as that reason does; so does one in which every
    job was skipped, while some that were beside others are no failure."""
    undone = [*outcome.failures, *outcome.skipped]
    if not outcome.failures and len(undone) < jobs:
        return EXIT_OK
    codes = {failure.error.exit_code for failure in undone}
    return codes.pop() if len(undone) == jobs and len(codes) == 1 else EXIT_JOBS_FAILED


def _missing_text(planned: list[Planned]) -> str:
    lines = missing_lines(planned)
    exclude = sorted({item.job.task.name for item in planned if any(line.startswith("data of") for line in item.lacks)})
    some = 0 < len(exclude) < len({item.job.task.name for item in planned})
    hint = f" To go on without: {' '.join(f'--exclude {name}' for name in exclude)}" if some else ""
    what = "1 thing is" if len(lines) == 1 else f"{len(lines)} things are"
    return f"{what} missing, listed above; nothing was run.{hint}"


def execute(
    planned: list[Planned],
    settings: Settings,
    choice: Choice = HERE,
    *,
    fail_fast: bool = False,
    quiet: bool = False,
    **how: bool,
) -> Outcome:
    """Run the jobs that have no record, print all records as a table, and say what was there and what was done.

    `how` is for `run_on`, where an executor is chosen.
    """
    start = time.monotonic()
    progress = choose(settings.progress)
    news = _news(progress, sum(item.state not in ("done", "skip") for item in planned))
    if choice.name:
        outcome = run_on(choice, planned, settings, progress, fail_fast=fail_fast, **how)
    else:
        with interrupts.gently(progress.say):
            outcome = run_planned(planned, settings, fail_fast=fail_fast, on_record=news, progress=progress)
    if distributed.rank():
        return outcome
    if not quiet and (outcome.present or outcome.written):
        echo_records([*outcome.present, *outcome.written])
    click.echo(
        f"{len(planned)} jobs: {len(outcome.present)} records present, {len(outcome.written)} run, "
        + (f"{len(outcome.skipped)} skipped, " if outcome.skipped else "")
        + f"{len(outcome.failures)} failed, in {duration(time.monotonic() - start)}. Records: {settings.results}",
        err=True,
    )
    return outcome


def _news(progress: Progress, total: int) -> Callable[[Job, Record, bool], None]:
    """Return what tells of each record as it is written."""
    count = 0

    def tell(job: Job, record: Record, new: bool) -> None:
        nonlocal count
        count += 1
        name = record.task.metric
        unit = record.definition(name).unit
        sign = "%" if unit == "fraction" else unit
        progress.say(f"[{count}/{total}] {job.label}: {number(record.headline.value, unit)} {sign} {name}")

    return tell


def echo_records(records: list[Record]) -> None:
    """Print one line per record."""
    definitions = [record.definition(record.task.metric) for record in records]
    units = [definition.unit for definition in definitions]
    values = [number(record.headline.value, unit) for record, unit in zip(records, units, strict=True)]
    heading, values = headed(units, values)
    rows: list[tuple[Any, ...]] = [
        (
            record.model.name,
            record.task.name,
            record.protocol.name,
            record.seed,
            record.task.metric,
            value,
            interval(bounds.low, bounds.high, definition.unit) if (bounds := record.headline.interval) else "",
            number(definition.chance, definition.unit),
            record.record_id[:8],
        )
        for record, value, definition in zip(records, values, definitions, strict=True)
    ]
    echo_table(
        ("model", "task", "protocol", "seed", "metric", heading, "95 % interval", "chance", "record"), rows, (3, 5, 7)
    )
