"""What a bundle is judged by on this machine: the open round, the board's records, and the cards that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.cards import builtin_folder
from ssl_bench.environment import source_digest
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.leaderboard import entries, overlaps
from ssl_bench.results.roots import PACKED, FixedRoot, FolderRoot
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.submission.checks.base import Known
from ssl_bench.submission.rounds import Round

if TYPE_CHECKING:
    from ssl_bench.results.record import Record
    from ssl_bench.results.samples import Table


def known(board: Path | None, round: Round, settings: Settings) -> Known:
    """Return what is known besides a bundle; `board` is the folder of the board's records, or this checkout's."""
    from ssl_bench import rounds

    published = _published(board)

    def table(record: Record) -> Table | None:
        try:
            return published.read_samples(record) if published else None
        except (MissingError, UsageError):
            return None

    return Known(
        entries=entries.read_all(settings.shelves),
        records=tuple(published.records()) if published else (),
        table=table,
        targets=rounds.targets(round, settings),
        datasets=overlaps.read_all(settings.shelves),
        harness=source_digest(),
    )


def _published(board: Path | None) -> Results | None:
    """Return the packed records of a board: loose ones beside them are somebody's own, not yet published."""
    folder = board or builtin_folder("results")
    if not folder.is_dir():
        if board:
            raise MissingError(f"no folder of records is at {board}")
        return None
    packed = {path.name: path.read_bytes() for path in sorted(folder.glob(f"*{PACKED}"))}
    return Results(FixedRoot(str(folder), packed, FolderRoot(folder)))
