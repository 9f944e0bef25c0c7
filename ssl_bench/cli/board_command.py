"""`ssl-bench board`: the records as one HTML page, as tables and as data."""

from __future__ import annotations

import functools
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import tasks
from ssl_bench.cli import board_material
from ssl_bench.cli.options import PLACES, Command, stacked, with_settings
from ssl_bench.errors import UsageError
from ssl_bench.files import uncollected
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.leaderboard.entries import Division
    from ssl_bench.leaderboard.ranking import Board
    from ssl_bench.leaderboard.rows import Standings

CHOICE = (
    click.option("--suite", "-s", default="", help="Only this suite's tasks, in its groups and with its mean."),
    click.option("--protocol", "-p", "protocols", multiple=True, help="Only this protocol, or protocol,field=value."),
    click.option(
        "--question", "questions", multiple=True, help="Only records that answer this question (first digits)."
    ),
    click.option(
        "--division", type=click.Choice(["closed", "open"]), default="closed", help="Of the entries.", show_default=True
    ),
    click.option(
        "--verifiers",
        type=click.Path(path_type=Path),
        help="List of signers (OpenSSH's); without their signature a check counts for nothing.",
    ),
    click.option(
        "--unpaired", is_flag=True, help="Test without per-sample predictions: what packed records alone give."
    ),
)
CHOICE_NAMES = ("suite", "protocols", "questions", "division", "verifiers", "unpaired")
"""Of the options of `CHOICE`, as `make` takes them."""
PAGES = click.Path(path_type=Path, file_okay=False)
EXAMPLES = click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=0,
    help="Images per task that a model gets right, and as many wrong, where data and licence allow [default: none].",
)


def choosing(function: Command) -> Command:
    """Give a command the options of what a board is made of; it receives them as one argument, `choice`."""

    @functools.wraps(function)
    def wrapped(**given: Any) -> Any:
        return function(choice={name: given.pop(name) for name in CHOICE_NAMES}, **given)

    return stacked(CHOICE, wrapped)


@click.command(name="board")
@choosing
@click.option("--html", type=click.Path(path_type=Path), help="Page to write [default: board.html].")
@click.option("--markdown", type=click.Path(path_type=Path), help="Markdown table to write.")
@click.option("--csv", type=click.Path(path_type=Path), help="CSV to write, one line per model and protocol.")
@click.option("--latex", type=click.Path(path_type=Path), help="LaTeX tables to write.")
@click.option("--json", type=click.Path(path_type=Path), help="JSON to write: all that the page tells.")
@click.option("--parquet", type=click.Path(path_type=Path), help="Parquet to write, one row per number.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write every form into.")
@click.option("--pages", type=PAGES, help="Folder to fill with the board and a page per model and task.")
@EXAMPLES
@with_settings(PLACES)
def command(
    choice: Mapping[str, Any],
    out: Path | None,
    pages: Path | None,
    examples: int,
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
      ssl-bench board --pages site               board.html, models/*.html, tasks/*.html
    """
    asked = {form: path for form, path in forms.items() if path is not None}
    if not asked and out is None and pages is None:
        asked = {"html": Path("board.html")}
    for path in write_boards(resolved.settings, asked, out, pages, examples=examples, **choice):
        click.echo(path)
    gc.freeze()  # the process ends here: 100,000 records need not be looked through once more


def write_boards(
    settings: Settings,
    forms: Mapping[str, Path],
    out: Path | None = None,
    pages: Path | None = None,
    *,
    examples: int = 0,
    **choice: Any,
) -> list[Path]:
    """Write the records of the results folder in the given forms, and in every form into a folder where one is given.

    Returns the files, and the folder of `pages`. `forms` maps names of `leaderboard.forms.FORMS` to paths; `choice` is
    as for `make`.
    """
    from ssl_bench.leaderboard import folder
    from ssl_bench.leaderboard import forms as known

    results = Results(settings.results, settings.cache)
    with uncollected():
        board = make(results, settings, **choice)
        for form, path in forms.items():
            known.write(board, form, path)
        written = [*forms.values(), *(known.write_all(board, out) if out else ())]
        if pages is not None:
            folder.write(board_material.gathered(results, board, settings, examples), pages)
            written.append(pages)
    return written


def make(
    results: Results,
    settings: Settings,
    *,
    suite: str = "",
    protocols: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
    verifiers: Path | None = None,
    division: Division = "closed",
    unpaired: bool = False,
) -> Board:
    """Return the board of what stands under a root; what is broken or withdrawn is told among what was left out.

    `verifiers` lists whose signatures count; without it every verification counts. `unpaired` tests as if no per-sample
    predictions were there, so that a board is that of its records alone.
    """
    from ssl_bench.leaderboard import entries, evidence
    from ssl_bench.leaderboard.ranking import make_board

    records = results.records()
    if not records and not results.skipped and not results.withdrawn:
        raise UsageError(f"no record is under {settings.results}; `ssl-bench run` writes them")
    belied = _belied(results, records, settings)
    return make_board(
        [record for record in records if record.content_digest not in belied],
        tasks.get_suite(suite, settings.shelves) if suite else None,
        board_material.model_cards({record.model.name for record in records}, settings),
        protocols=protocols,
        questions=questions,
        skipped=[
            *((skipped.where, skipped.reason) for skipped in results.skipped),
            *((_named(record), f"withdrawn: {why}") for record, why in results.withdrawn),
            *((_named(record), belied[record.content_digest]) for record in records if record.content_digest in belied),
        ],
        drift=results.drift,
        standings=_standings(results, settings, verifiers),
        entries=entries.read_all(settings.shelves),
        division=division,
        evidence=evidence.NOTHING if unpaired else evidence.of_results(results, settings.cache),
    )


def _standings(results: Results, settings: Settings, verifiers: Path | None) -> Standings:
    """Return how far records were checked, by anybody or by the verifiers on a list."""
    from ssl_bench.results import trust
    from ssl_bench.results.standing import standings

    found = results.verifications()
    memory = settings.cache / "signatures.txt"
    trusted = trust.signed_by_known(found, verifiers, memory) if verifiers else None
    return standings(found, trusted)


def _belied(results: Results, records: list[Record], settings: Settings) -> Mapping[str, str]:
    """Return why records are not what their per-sample predictions say, where those are here."""
    if not (here := results.samples()):
        return {}
    from ssl_bench.results import rescore

    having = [record for record in records if record.samples.sha256 in here]
    return rescore.belied(having, results.read_samples, settings.cache / "rescored.txt")


def _named(record: Record) -> str:
    return f"{record.model.name} × {record.task.name} × {record.protocol.name} ({record.record_id[:8]})"
