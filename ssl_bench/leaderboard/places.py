"""Ranks of the models of a table by its mean, and between which ranks they lie.

Models without a mean and controls have no rank, and beyond the first `MOST` models none is computed.

    resampled   where the predictions of all are here, the metric is a mean over samples, and no seed matters: the same
                bootstrap resamples of every task's samples for all models (`statistics.rank_intervals`)
    normal      else: means and their standard errors, as if each model had samples of its own, which is too wide
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.comparison import alignment
from ssl_bench.errors import IncomparableError
from ssl_bench.leaderboard.columns import Column
from ssl_bench.leaderboard.evidence import Evidence
from ssl_bench.leaderboard.rows import Cell, Row
from ssl_bench.results import predicted, seeds
from ssl_bench.results.record import Record
from ssl_bench.statistics import RankInterval, rank_intervals, rank_intervals_of_means

MOST = 50
RESAMPLED = "bootstrap of the test samples, the same for all models"
NORMAL = "normal approximation from values and intervals, as if each model had test samples of its own, so too wide"


@dataclasses.dataclass(frozen=True)
class Places:
    """The ranks of a table's rows."""

    intervals: tuple[RankInterval | None, ...] = ()
    """One per row."""
    how: str = ""
    """`RESAMPLED` or `NORMAL`; empty where there are none."""


UNRANKED = Places()


def places(
    rows: Sequence[Row], columns: Sequence[Column], weights: Sequence[float], higher: bool, evidence: Evidence
) -> Places:
    """Return the ranks of the rows, best mean first; `weights` say what each column's value adds to the mean."""
    ranked = [i for i, row in enumerate(rows) if row.mean.value is not None and not row.control][:MOST]
    if len(ranked) < 2 or not weights:
        return UNRANKED
    sign = 1.0 if higher else -1.0
    found = _resampled([rows[i] for i in ranked], [sign * len(weights) * weight for weight in weights], evidence)
    how = RESAMPLED if found else NORMAL
    if not found:
        errors = [rows[i].mean.error for i in ranked]
        if any(error is None for error in errors):
            return UNRANKED
        values = [sign * (rows[i].mean.value or 0.0) for i in ranked]
        found = rank_intervals_of_means(values, [error or 0.0 for error in errors])
    by_row = dict(zip(ranked, found, strict=True))
    return Places(tuple(by_row.get(i) for i in range(len(rows))), how)


def _resampled(rows: Sequence[Row], scales: Sequence[float], evidence: Evidence) -> tuple[RankInterval, ...] | None:
    cells = [[cell for cell in row.cells if cell] for row in rows]
    records = [cell.records[0] for row in cells for cell in row]
    if any(seeds.matters(record) for record in records) or not all(map(evidence.has, records)):
        return None
    said = evidence.remembered(f"ranks {list(scales)}", records, lambda: _ranks(cells, scales, evidence))
    return tuple(RankInterval(*one) for one in said) if said else None


def _ranks(cells: Sequence[Sequence[Cell]], scales: Sequence[float], evidence: Evidence) -> list[list[int]] | None:
    """Return (rank, low, high) of every model; None where the samples of a task cannot be put beside each other."""
    outcomes = []
    for index, scale in enumerate(scales):
        units = _units([row[index].records[0] for row in cells], evidence)
        if units is None:
            return None
        outcomes.append(scale * units)
    return [list(dataclasses.astuple(one)) for one in rank_intervals(outcomes)]


def _units(records: Sequence[Record], evidence: Evidence) -> NDArray[Any] | None:
    """Return what the task's metric makes of every sample under every model, (samples, models)."""
    base = evidence.table(records[0])
    columns: list[NDArray[Any]] = []
    for record in records:
        table = evidence.table(record)
        if base is None or table is None or not (alignment.paired(base) and alignment.paired(table)):
            return None
        try:
            _, table = alignment.align(base, table, record.model.name)
        except IncomparableError:
            return None
        units = predicted.units(record, table)
        if units is None or (columns and len(units) != len(columns[0])):
            return None
        columns.append(units)
    return np.stack(columns, axis=1)
