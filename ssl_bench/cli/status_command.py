"""`ssl-bench status`: how far the jobs of a plan have come."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import duration, echo_json, echo_table
from ssl_bench.errors import EXIT_JOBS_FAILED, EXIT_OK
from ssl_bench.settings import Resolved

SHOWN = 10
"""Running and failed jobs that are listed, unless all are asked for."""


@click.command(name="status")
@click.argument("plan", required=False, type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Look again every few seconds until all is done.")
@click.option("--every", type=click.FloatRange(min=0.1), default=5.0, show_default=True, help="Seconds between looks.")
@click.option("--all", "everything", is_flag=True, help=f"Every running and failed job, not the first {SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def command(plan: Path | None, resolved: Resolved, watch: bool, every: float, everything: bool, as_json: bool) -> int:
    """Say how many jobs of a PLAN are done, running, failed and left, and how long the rest takes.

    PLAN is a plan's file or folder; else it is the one that `run --executor` made last. Files alone are read, so that
    it can be asked anywhere, at any time. A job whose machine is lost counts as running until it is begun again. Exits
    with 3 where a job failed.

    \b
    Examples:
      ssl-bench status
      ssl-bench status plan.json --watch
    """
    from ssl_bench.plans import job_status, plan_file

    folder = job_status.find(plan, resolved.settings.cache)
    read = plan_file.read(plan if plan is not None and plan.is_file() else folder)
    while True:
        status = job_status.read(read, folder)
        if as_json:
            echo_json(_plain(status))
        else:
            _echo(read, folder, status, everything)
        if not watch or status.finished:
            return EXIT_JOBS_FAILED if status.failed else EXIT_OK
        time.sleep(every)


def _plain(status: Any) -> dict[str, Any]:
    counts = {
        count.kind: {key: value for key, value in vars(count).items() if key != "kind"} for count in status.counts
    }
    return {
        "jobs": counts,
        "running": list(status.running),
        "failed": list(status.failed),
        "left_seconds": status.left_seconds,
    }


def _echo(plan: Any, folder: Path, status: Any, everything: bool) -> None:
    """Print the counts, then what runs and what failed."""
    from ssl_bench.plans.job_files import JobFiles

    files, now = JobFiles(folder), time.time()
    rows = [
        (
            count.kind,
            count.done,
            count.running,
            count.failed,
            count.left,
            "" if count.seconds is None else duration(count.seconds),
        )
        for count in status.counts
    ]
    echo_table(("jobs", "done", "running", "failed", "left", "each"), rows, (1, 2, 3, 4, 5))
    rest = "not known yet" if status.left_seconds is None else duration(status.left_seconds)
    click.echo(f"{folder}: {'finished' if status.finished else f'{rest} left'}", err=True)
    most = None if everything else SHOWN
    for index in status.running[:most]:
        since = duration(now - status.states[index].started)
        click.echo(f"running: {index} {plan.jobs[index].label}, {since}{_last_word(files, index, now)}", err=True)
    for index in status.failed[:most]:
        errors = files.report(index).get("errors", ())
        click.echo(f"failed: {index} {plan.jobs[index].label}: {'; '.join(str(e['error']) for e in errors)}", err=True)
    hidden = 0 if everything else max(0, len(status.running) - SHOWN) + max(0, len(status.failed) - SHOWN)
    if hidden:
        click.echo(f"… and {hidden} more: --all lists them", err=True)


def _last_word(files: Any, index: int, now: float) -> str:
    """Return where a job runs and how long ago its log grew, which tells who is still alive."""
    import json

    try:
        host = json.loads(files.path(index, "started.json").read_text(encoding="utf-8"))["host"]
        return f" on {host}, last word {duration(now - files.path(index, 'log').stat().st_mtime)} ago"
    except (OSError, ValueError, KeyError):
        return ""
