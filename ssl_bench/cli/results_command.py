"""`ssl-bench results`: look at records, ask of them, write them for others; `keep_records` has what changes them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import click

from ssl_bench.cli import keep_records
from ssl_bench.cli.groups import SuggestingGroup
from ssl_bench.cli.keep_records import open_results, report_skipped
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.cli.tables import echo_json, echo_table, headed, interval, number
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved

FORMATS = ("csv", "json", "latex", "md", "parquet")
SHOWN = 200
"""Lines of a list on a terminal; a pipe gets all."""


@click.group(name="results", cls=SuggestingGroup)
def command() -> None:
    """Look at records, ask of them, write them for others, and keep them in order.

    \b
    Examples:
      ssl-bench results ls 'cifar_*'
      ssl-bench results show 4f2a9c
      ssl-bench results query "SELECT model, avg(value) FROM records WHERE task = 'dtd' GROUP BY model"
      ssl-bench results export latex --suite vtab --out table.tex
      ssl-bench results diff git:main:results results
      ssl-bench results import s3://bucket/results
      ssl-bench results pack
    """


@command.command(name="ls")
@click.argument("pattern", default="*")
@click.option("--all", "everything", is_flag=True, help=f"All lines on a terminal, not the first {SHOWN}.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@with_settings(PLACES)
def ls(pattern: str, resolved: Resolved, everything: bool, as_json: bool) -> None:
    """List the records, a line per job; PATTERN is a glob over model, task or protocol.

    The note says where a job has records with other numbers (drift), where a record was withdrawn and why, where
    it was checked by others or is disputed, and where it was made of fewer samples.

    \b
    Examples:
      ssl-bench results ls
      ssl-bench results ls 'dinov2_*' --json
    """
    from ssl_bench.results import listing

    results = open_results(resolved)
    rows = results.table_rows(pattern)
    if as_json:
        echo_json([dataclasses.asdict(row) for row in rows])
    elif rows:
        shown = rows if everything or not sys.stdout.isatty() else rows[:SHOWN]
        _echo_rows(shown)
        if len(shown) < len(rows):
            more = len(rows) - len(shown)
            click.echo(f"… and {more} more: narrow with a PATTERN, ask with `results query`, or --all", err=True)
    else:
        near = did_you_mean(pattern, listing.names(results.index))
        click.echo(f"no record under {results.root} matches {pattern!r}.{near}", err=True)
    report_skipped(results)


def _echo_rows(rows: list[Any]) -> None:
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


@command.command(name="show")
@click.argument("record_id")
@click.option("--json", "as_json", is_flag=True, help="Print the whole record as JSON.")
@with_settings(PLACES)
def show(record_id: str, resolved: Resolved, as_json: bool) -> None:
    """Show one record; RECORD_ID is its id or the first digits of it, or of its content digest.

    \b
    Examples:
      ssl-bench results show 4f2a9c
      ssl-bench results show 4f2a9c --json
    """
    from ssl_bench.results.describe import describe, describe_runs, describe_verifications

    results = open_results(resolved)
    record = results.get(record_id)
    runs = describe_runs(results.runs(record.record_id), record)
    runs += describe_verifications(results.verifications(), record)
    if as_json:
        echo_json(record.to_json())
    else:
        click.echo(describe(record))
    if runs:
        click.echo(runs, err=as_json)


@command.command(name="query")
@click.argument("sql", required=False)
@click.option("--columns", is_flag=True, help="List the tables and columns that a query may name.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, an object per row.")
@with_settings(PLACES)
def query(sql: str | None, resolved: Resolved, columns: bool, as_json: bool) -> None:
    """Ask of the records in SQL (SQLite's); reading only.

    The tables are records, metrics, withdrawals, verifications and places; --columns lists what is in them. In
    `records`, what stands for its job has the status 'standing'.

    \b
    Examples:
      ssl-bench results query --columns
      ssl-bench results query "SELECT model, avg(value) FROM records WHERE protocol = 'knn' GROUP BY model"
      ssl-bench results query "SELECT model, task, name, m.value FROM records JOIN metrics m USING (content_digest)"
      ssl-bench results query "SELECT model, json_extract(recipe, '$.k') AS k, value FROM records"
    """
    from ssl_bench.results import query as queries
    from ssl_bench.results.index_schema import TABLES

    if columns:
        rows: list[tuple[Any, ...]] = [
            (table, *column) for table, all_columns in TABLES.items() for column in all_columns
        ]
        names = ["table", "column", "type", "meaning"]
    elif sql:
        names, rows = queries.ask(open_results(resolved).index, sql)
    else:
        raise UsageError("no query is given; `ssl-bench results query --columns` lists what one may name")
    if as_json:
        echo_json([dict(zip(names, map(_word, row), strict=True)) for row in rows])
    else:
        texts = [["" if value is None else str(_word(value)) for value in row] for row in rows]
        echo_table(names, texts, [i for i in range(len(names)) if rows and isinstance(rows[0][i], int | float)])


def _word(value: Any) -> Any:
    """Return a value of SQLite for readers: bytes as hexadecimal digits."""
    return value.hex() if isinstance(value, bytes) else value


@command.command(name="export")
@click.argument("form", metavar="FORMAT")
@click.option("--out", "-o", type=click.Path(path_type=Path), help="File to write [default: the terminal].")
@click.option("--metrics", "every_metric", is_flag=True, help="csv, json, parquet: a row for every metric.")
@click.option("--suite", "-s", default="", help="md, latex: only this suite's tasks, in its groups, with its mean.")
@click.option("--protocol", "-p", "protocols", multiple=True, help="md, latex: only this protocol; repeatable.")
@click.option("--question", "questions", multiple=True, help="md, latex: only this question (first digits).")
@with_settings(PLACES)
def export(
    form: str,
    out: Path | None,
    every_metric: bool,
    suite: str,
    protocols: tuple[str, ...],
    questions: tuple[str, ...],
    resolved: Resolved,
) -> None:
    """Write the records as csv, json, parquet, md or latex.

    csv, json and parquet are flat: a row per record, with the columns of `results query --columns`, fractions as they
    are. md and latex are the board's tables: a row per model and a column per task, in percent.

    \b
    Examples:
      ssl-bench results export csv --metrics > records.csv
      ssl-bench results export parquet --out records.parquet
      ssl-bench results export latex --suite vtab --protocol knn --out table.tex
    """
    if form not in FORMATS:
        raise UsageError(
            f"records cannot be exported as {form!r}.{did_you_mean(form, FORMATS)} One of {', '.join(FORMATS)}"
        )
    if form == "parquet" and out is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal; name a file with --out")
    results = open_results(resolved)
    if form in ("md", "latex"):
        content = _board_text(form, results, resolved, suite, protocols, questions)
    else:
        content = _flat_content(form, results, every_metric)
    report_skipped(results)
    if out is None:
        sys.stdout.buffer.write(content)
    else:
        from ssl_bench.files import atomic_write

        with atomic_write(out) as file:
            file.write(content)
        click.echo(out)


def _flat_content(form: str, results: Results, every_metric: bool) -> bytes:
    from ssl_bench.results import exporting

    results.index.refresh()
    columns, rows = exporting.flat(results.index, every_metric)
    if form == "parquet":
        return exporting.parquet_bytes(columns, rows)
    text = exporting.csv_text(columns, rows) if form == "csv" else exporting.json_text(columns, rows)
    return text.encode("utf-8", "surrogatepass")


def _board_text(
    form: str,
    results: Results,
    resolved: Resolved,
    suite: str,
    protocols: tuple[str, ...],
    questions: tuple[str, ...],
) -> bytes:
    from ssl_bench.cli.board_command import make
    from ssl_bench.leaderboard import latex, text

    board = make(results, resolved.settings, suite=suite, protocols=protocols, questions=questions)
    return (text.markdown(board) if form == "md" else latex.latex(board)).encode()


for other in keep_records.COMMANDS:
    command.add_command(other)
