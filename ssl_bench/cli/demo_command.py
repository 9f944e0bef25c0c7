"""`ssl-bench demo`: the whole way on real data that lies inside a dependency, offline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from ssl_bench.cli.board_command import write_boards
from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.cli.run_command import execute
from ssl_bench.errors import EXIT_JOBS_FAILED, EXIT_OK
from ssl_bench.jobs import Request, expand
from ssl_bench.plans.planner import Planner
from ssl_bench.settings import Resolved

MODELS = ("digits_vit", "random:digits_vit", "pixels,size=8,channels=grey", "majority")
SUITE = "quick"


@click.command(name="demo")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@with_settings(PLACES, WORK)
def command(out: Path, resolved: Resolved) -> int:
    """Measure a small self-supervised network against controls on scikit-learn's digits, and render the board.

    Takes about a minute on two cores and opens no network connection.
    """
    settings = dataclasses.replace(resolved.settings, offline=True)
    if resolved.origins["results"] == "default":
        settings = dataclasses.replace(settings, results=out / "results")
    planned = Planner(settings).plan(expand(Request(models=MODELS, suite=SUITE), settings))
    outcome = execute(planned, settings)
    page = out / "board.html"
    write_boards(settings, {"html": page}, suite=SUITE)
    click.echo(
        f"\nThe board: {page.resolve()}\nOne record in full: ssl-bench results show --results {settings.results} ID"
    )
    for failure in outcome.failures:
        click.echo(f"failed: {failure.job.label}: {failure.error}", err=True)
    return EXIT_JOBS_FAILED if outcome.failures else EXIT_OK
