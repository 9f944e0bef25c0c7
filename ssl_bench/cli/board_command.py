"""`ssl-bench board`: the records as one HTML page, Markdown and CSV."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import tasks
from ssl_bench.cli import board_material
from ssl_bench.cli.options import PLACES, Command, stacked, with_settings
from ssl_bench.errors import UsageError
from ssl_bench.files import write_text
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.leaderboard.ranking import Board

CHOICE = (
    click.option("--suite", "-s", default="", help="Only this suite's tasks, in its groups and with its mean."),
    click.option("--protocol", "-p", "protocols", multiple=True, help="Only this protocol, or protocol,field=value."),
    click.option(
        "--question", "questions", multiple=True, help="Only records that answer this question (first digits)."
    ),
)
"""What a board is made of, as `make` takes it; `serve` has the same words."""
EXAMPLES = click.option(
    "--examples",
    type=click.IntRange(min=0),
    default=0,
    help="Images per task that a model gets right, and as many wrong, where data and licence allow [default: none].",
)


def choosing(command: Command) -> Command:
    """Give a command the options of `CHOICE`; it receives them as further keywords."""
    return stacked(CHOICE, command)


@click.command(name="board")
@choosing
@click.option("--html", type=click.Path(path_type=Path), help="Page to write [default: board.html].")
@click.option("--markdown", type=click.Path(path_type=Path), help="Markdown table to write.")
@click.option("--csv", type=click.Path(path_type=Path), help="CSV to write, one line per cell.")
@click.option("--pages", type=click.Path(path_type=Path), help="Folder to fill: the board, a page per model and task.")
@EXAMPLES
@with_settings(PLACES)
def command(
    html: Path | None,
    markdown: Path | None,
    csv: Path | None,
    pages: Path | None,
    examples: int,
    resolved: Resolved,
    **choice: Any,
) -> None:
    """Render the records as one self-contained HTML page, and as tables.

    The page needs no network and opens from the disk; equal records give equal bytes. Records that answer different
    questions never share a column (exit code 5 says which differ).

    \b
    Examples:
      ssl-bench board --html board.html
      ssl-bench board --suite small7 --protocol knn --markdown board.md
      ssl-bench board --pages site                            board.html, models/*.html, tasks/*.html
    """
    if html is None and markdown is None and csv is None and pages is None:
        html = Path("board.html")
    write_boards(resolved.settings, html=html, markdown=markdown, csv=csv, pages=pages, examples=examples, **choice)
    for path in (html, markdown, csv, pages):
        if path is not None:
            click.echo(path)


def write_boards(
    settings: Settings,
    *,
    html: Path | None = None,
    markdown: Path | None = None,
    csv: Path | None = None,
    pages: Path | None = None,
    examples: int = 0,
    **choice: Any,
) -> None:
    """Write the records of the results folder as each form that a path is given for; `choice` is as for `make`."""
    from ssl_bench.leaderboard import folder, site, text

    results = Results(settings.results, settings.cache)
    board = make(results, settings, **choice)
    for path, render in ((html, site.html), (markdown, text.markdown), (csv, text.csv_text)):
        if path is not None:
            write_text(path, render(board))
    if pages is not None:
        folder.write(board_material.gathered(results, board, settings, examples), pages)


def make(
    results: Results,
    settings: Settings,
    *,
    suite: str = "",
    protocols: tuple[str, ...] = (),
    questions: tuple[str, ...] = (),
) -> Board:
    """Return the board of what stands under a root; what is broken or withdrawn is told among what was left out."""
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
