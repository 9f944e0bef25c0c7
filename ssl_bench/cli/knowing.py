"""What a bundle is judged by on this machine: the open round, the board's records, and the cards that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.cards import builtin_folder
from ssl_bench.environment import source_digest
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.leaderboard import entries, overlaps
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.submission.checks.base import Known
from ssl_bench.submission.rounds import Round

if TYPE_CHECKING:
    from ssl_bench.results.record import Record
    from ssl_bench.results.samples import Table


def known(board: Path | None, round: Round, settings: Settings) -> Known:
    """Return what is known besides a bundle; `board` is the folder of the board's records, or this checkout's.

    Raises MissingError where there is no such folder.
    """
    from ssl_bench import rounds

    folder = board or builtin_folder("results")
    if board and not folder.is_dir():
        raise MissingError(f"no folder of records is at {board}")
    held = rounds.held(round, settings)
    published = Results(folder, settings.cache)

    def table(record: Record) -> Table | None:
        try:
            return published.read_samples(record)
        except (MissingError, UsageError):
            return None

    return Known(
        entries=entries.read_all(settings.shelves),
        records=tuple(_packed(published)),
        table=table,
        targets={digest: table.labels["test"] for digest, table in held.items()},
        images={digest: table.digests["test"] for digest, table in held.items()},
        datasets=overlaps.read_all(settings.shelves),
        harness=source_digest(),
    )


def _packed(results: Results) -> list[Record]:
    """Return the records that stand in packed files: loose ones beside them are somebody's own, not yet published."""
    records = results.records()
    found = results.index.rows("SELECT content_digest FROM places WHERE holds = 'record' AND line > 0")
    published = {digest for (digest,) in found}
    return [record for record in records if record.content_digest in published]
