"""What a submitter declares, put on the board's rows: the entry, marks on contaminated cells, the mean without them.

A model that has seen a task's images keeps its mean over all tasks, marked, and has a second one over the clean ones:
who declares a contamination loses nothing that silence would have kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from ssl_bench.aggregators import Aggregator
from ssl_bench.leaderboard.columns import Column
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.means import Mean, Means
from ssl_bench.leaderboard.rows import Row


def entered(
    row: Row,
    entries: Mapping[str, Entry],
    columns: tuple[Column, ...],
    groups: Mapping[str, Sequence[str]],
    aggregator: Aggregator,
) -> Row:
    """Return the row with its entry, if it has one: an entry is of a name and of one weights file."""
    entry = entries.get(row.model.name)
    if entry is None or row.model.file_sha256 not in ("", entry.sha256):
        return row
    seen = {column.task.name: entry.contamination.get(column.task.name, "") for column in columns}
    cells = tuple(
        dataclasses.replace(cell, contaminated=seen[column.task.name]) if cell else None
        for cell, column in zip(row.cells, columns, strict=True)
    )
    clean = _clean(row, {*entry.contamination}, columns, groups, aggregator) if any(seen.values()) else None
    return dataclasses.replace(row, cells=cells, entry=entry, clean=clean)


def _clean(
    row: Row,
    seen: set[str],
    columns: tuple[Column, ...],
    groups: Mapping[str, Sequence[str]],
    aggregator: Aggregator,
) -> Mean:
    """Return the mean over the tasks of which nothing was seen; none where one of them has no value."""
    left = {name: tuple(task for task in tasks if task not in seen) for name, tasks in groups.items()}
    left = {name: tasks for name, tasks in left.items() if tasks}
    kept = [(cell, column) for cell, column in zip(row.cells, columns, strict=True) if column.task.name not in seen]
    if not kept:
        return Mean(None, 0, 0)
    means = Means(aggregator, left, tuple(column for _, column in kept))
    return means.of([cell.value if cell else None for cell, _ in kept])[1]
