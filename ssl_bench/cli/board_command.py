"""`ssl-bench board`: the records as one HTML page, as tables and as data."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ssl_bench import model_zoo, tasks
from ssl_bench.cli.options import PLACES, with_settings
from ssl_bench.errors import SslBenchError, UsageError
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.leaderboard.ranking import Board


@click.command(name="board")
@click.option("--suite", "-s", default="", help="Only this suite's tasks, in its groups and with its mean.")
@click.option("--protocol", "-p", "protocols", multiple=True, help="Only this protocol, or protocol,field=value.")
@click.option("--question", "questions", multiple=True, help="Only records that answer this question (first digits).")
@click.option("--html", type=click.Path(path_type=Path), help="Page to write [default: board.html].")
@click.option("--markdown", type=click.Path(path_type=Path), help="Markdown table to write.")
@click.option("--csv", type=click.Path(path_type=Path), help="CSV to write, one line per model and protocol.")
@click.option("--latex", type=click.Path(path_type=Path), help="LaTeX tables to write.")
@click.option("--json", type=click.Path(path_type=Path), help="JSON to write: all that the page tells.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Parquet to write, one row per number.")
@click.option("--unpaired", is_flag=True, help="Test without per-sample predictions: what packed records alone give.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write every form into.")
@with_settings(PLACES)
def command(
    suite: str,
    protocols: tuple[str, ...],
    questions: tuple[str, ...],
    out: Path | None,
    unpaired: bool,
    resolved: Resolved,
    **forms: Path | None,
) -> None:
    """Render the records as one self-contained HTML page, as tables and as data.

    The page needs no network and opens from the disk; equal records give equal bytes. Records that answer different
    questions never share a column (exit code 5 says which differ).

    \b
    Examples:
      ssl-bench board --html board.html
      ssl-bench board --suite small7 --protocol knn --markdown board.md
      ssl-bench board --out site                 board.html, .md, .csv, .tex, .json and .parquet
    """
    asked = {form: path for form, path in forms.items() if path is not None}
    if not asked and out is None:
        asked = {"html": Path("board.html")}
    settings = resolved.settings
    for path in write_boards(
        settings, asked, out, suite=suite, protocols=protocols, questions=questions, unpaired=unpaired
    ):
        click.echo(path)


def write_boards(
    settings: Settings,
    forms: Mapping[str, Path],
    folder: Path | None = None,
    *,
    suite: str = "",
    protocols: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
    unpaired: bool = False,
) -> list[Path]:
    """Write the records of the results folder in the given forms, and in every form into a folder where one is given.

    Returns the files. `forms` maps names of `leaderboard.forms.FORMS` to paths.
    """
    from ssl_bench.leaderboard import forms as known

    results = Results(settings.results, settings.cache)
    with _without_collection():
        board = make(results, settings, suite=suite, protocols=protocols, questions=questions, unpaired=unpaired)
        for form, path in forms.items():
            known.write(board, form, path)
        return [*forms.values(), *(known.write_all(board, folder) if folder else ())]


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Let Python not look for cycles meanwhile: records hold none, and looking at 100,000 again and again takes longer
    than to read them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def make(
    results: Results,
    settings: Settings,
    *,
    suite: str = "",
    protocols: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
    unpaired: bool = False,
) -> Board:
    """Return the board of what stands under a root; what is broken or withdrawn is told among what was left out.

    `unpaired` tests as if no per-sample predictions were there, so that a board is that of its records alone.
    """
    from ssl_bench.leaderboard import evidence
    from ssl_bench.leaderboard.ranking import make_board

    records = results.records()
    if not records and not results.skipped and not results.withdrawn:
        raise UsageError(f"no record is under {settings.results}; `ssl-bench run` writes them")
    belied = _belied(results, records, settings)
    return make_board(
        [record for record in records if record.content_digest not in belied],
        tasks.get_suite(suite, settings.shelves) if suite else None,
        _cards_of({record.model.name for record in records}, settings),
        protocols=protocols,
        questions=questions,
        skipped=[
            *((skipped.where, skipped.reason) for skipped in results.skipped),
            *((_named(record), f"withdrawn: {why}") for record, why in results.withdrawn),
            *((_named(record), belied[record.content_digest]) for record in records if record.content_digest in belied),
        ],
        drift=results.drift,
        evidence=evidence.NOTHING if unpaired else evidence.of_results(results, settings.cache),
    )


def _belied(results: Results, records: list[Record], settings: Settings) -> Mapping[str, str]:
    """Return why records are not what their per-sample predictions say, where those are here."""
    here = results.files.sample_files()
    if not here:
        return {}
    from ssl_bench.results import rescore
    from ssl_bench.results.samples import sample_name

    having = [record for record in records if sample_name(record.samples.sha256) in here]
    return rescore.belied(having, results.read_samples, settings.cache / "rescored.txt")


def _named(record: Record) -> str:
    return f"{record.model.name} × {record.task.name} × {record.protocol.name} ({record.record_id[:8]})"


def _cards_of(names: set[str], settings: Settings) -> Mapping[str, ModelCard]:
    """Return the cards of the measured models that still have one: published numbers stand beside ours."""
    found, known = {}, model_zoo.names(settings.shelves)
    for name in sorted(name for name in names if name.partition(",")[0] in known):
        try:
            found[name] = model_zoo.get(name, settings.shelves)
        except SslBenchError:
            continue  # a record outlives its card
    return found
