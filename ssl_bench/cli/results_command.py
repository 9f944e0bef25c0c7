"""`ssl-bench results`: look at records, pack them for publishing, unpack them."""

from __future__ import annotations

import dataclasses
import fnmatch
from pathlib import Path

import click

from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table, headed, interval, number
from ssl_bench.results.describe import describe
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved


@click.group(name="results")
def command() -> None:
    """Look at records, pack them for publishing, unpack them.

    \b
    Examples:
      ssl-bench results ls 'cifar_*'
      ssl-bench results show 4f2a9c
      ssl-bench results pack
    """


@command.command(name="ls")
@click.argument("pattern", default="*")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def ls(pattern: str, resolved: Resolved, as_json: bool) -> None:
    """List the records; PATTERN is a glob over model, task or protocol."""
    results = Results(resolved.settings.results)
    rows = [
        row
        for row in results.table_rows()
        if any(fnmatch.fnmatch(name, pattern) for name in (row.model, row.task, row.protocol))
    ]
    if as_json:
        echo_json([dataclasses.asdict(row) for row in rows])
    elif rows:
        heading, values = headed([row.unit for row in rows], [number(row.value, row.unit) for row in rows])
        echo_table(
            ("record", "model", "task", "protocol", "seed", "metric", heading, "95 % interval", "n", "note"),
            [
                (
                    row.record_id[:8],
                    row.model,
                    row.task,
                    row.protocol,
                    row.seed,
                    row.metric,
                    value,
                    interval(row.low, row.high, row.unit),
                    row.n,
                    row.note,
                )
                for row, value in zip(rows, values, strict=True)
            ],
            numeric=(4, 6, 8),
        )
    else:
        click.echo(f"no record under {results.root} matches {pattern!r}", err=True)
    for skipped in results.skipped:
        click.echo(f"skipped: {skipped}", err=True)


@command.command(name="show")
@click.argument("record_id")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@with_settings(PLACES)
def show(record_id: str, resolved: Resolved, as_json: bool) -> None:
    """Show one record; RECORD_ID is its id or the first digits of it."""
    record = Results(resolved.settings.results).get(record_id)
    if as_json:
        echo_json(record.to_json())
    else:
        click.echo(describe(record))


@command.command(name="pack")
@with_settings(PLACES)
def pack(resolved: Resolved) -> None:
    """Move loose records into one sorted file per model: the form that is committed and published."""
    _report(Results(resolved.settings.results).pack(), "packed into")


@command.command(name="unpack")
@with_settings(PLACES)
def unpack(resolved: Resolved) -> None:
    """Move packed records back into one file per record: the inverse of `pack`."""
    _report(Results(resolved.settings.results).unpack(), "unpacked to")


def _report(paths: list[Path], words: str) -> None:
    for path in paths:
        click.echo(f"{words} {path}")
    if not paths:
        click.echo("nothing to do", err=True)
