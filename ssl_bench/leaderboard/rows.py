"""Rows: one model under one way of making features, its seeds averaged, and what is best in every column."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from ssl_bench import cards as card_files
from ssl_bench.files import canonical_json
from ssl_bench.leaderboard.columns import Column
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.means import Mean, Means
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.questions import differing, flat, short
from ssl_bench.results.record import MetricDefinition, Model, Record
from ssl_bench.results.standing import UNCHECKED, Standing

Drift = Mapping[str, Sequence[Record]]
CONTROLS = frozenset({"random", "pixels", "majority"})
"""Adapters of models that know nothing: what any pretraining must beat."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One model's answer to one question, averaged over its seeds."""

    value: float
    low: float | None
    high: float | None
    """Mean over seeds of the bounds of the test-sample interval."""
    records: tuple[Record, ...]
    """One per seed."""
    spread: float | None
    """Standard deviation over seeds; None for one seed."""
    published: Published | None = None
    best: bool = False
    """The column's best, or not to be told from it."""
    drift: tuple[float, ...] = ()
    """Headline values of other runs of the same jobs that got other numbers."""
    contaminated: str = ""
    """What the entry declares that the weights have seen of the task's images; empty: nothing."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One model under one way of making features."""

    model: Model
    variant: str
    """What sets this row apart from others of the same name; usually empty."""
    cells: tuple[Cell | None, ...]
    groups: Mapping[str, Mean]
    mean: Mean
    standing: Standing = UNCHECKED
    """The lowest of its records'."""
    entry: Entry | None = None
    clean: Mean | None = None
    """The mean over the tasks that are not declared contaminated, for a row that declares one."""

    @property
    def control(self) -> bool:
        """Whether the model knows nothing, by construction."""
        return self.model.adapter in CONTROLS


def by_row(records: list[Record]) -> list[tuple[list[Record], str]]:
    """Return the records of each row with what sets it apart: one name may stand for several networks or inputs."""
    rows: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    written: dict[tuple[int, int], str] = {}
    for record in records:
        blocks = id(record.model), id(record.features)  # many records share them, and writing them takes time
        if blocks not in written:
            written[blocks] = canonical_json(_cause(record))
        rows[record.model.name][written[blocks]].append(record)
    result = []
    for _, variants in sorted(rows.items()):
        causes = {key: flat(json.loads(key)) for key in variants}
        keys = differing(causes.values())
        for key, found in sorted(variants.items()):
            words = (f"{name} {short(causes[key].get(name), 24)}" for name in keys)
            result.append((found, ", ".join(words).replace('"', "")))
    return result


def _cause(record: Record) -> dict[str, Any]:
    """Return what makes two records of one name two rows: another network, or features made in another way."""
    resolved: dict[str, Any] = card_files.plain(record.features.resolved)
    return resolved | {"weights": record.model.weights_digest[:12], "arch": card_files.plain(record.model.arch)}


def make_row(
    records: list[Record],
    variant: str,
    columns: tuple[Column, ...],
    means: Means,
    cards: Mapping[str, ModelCard],
    drift: Drift,
) -> Row:
    """Return the row of one model's records of a table, with a cell per column and the means."""
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_task[record.task.name].append(record)
    card = cards.get(records[0].model.name)
    cells = tuple(_make_cell(by_task[column.task.name], card, drift) for column in columns)
    groups, mean = means.of([cell.value if cell else None for cell in cells])
    return Row(records[0].model, variant, cells, groups, mean)


def _make_cell(records: list[Record], card: ModelCard | None, drift: Drift) -> Cell | None:
    if not records:
        return None
    if len(records) > 1:
        records = sorted(records, key=lambda record: record.seed)
    values = [record.headline.value for record in records]
    intervals = [record.headline.interval for record in records if record.headline.interval]
    whole = len(intervals) == len(records)
    key = f"{records[0].task.name}/{records[0].protocol.name}"
    return Cell(
        value=_mean(values),
        low=_mean([interval.low for interval in intervals]) if whole else None,
        high=_mean([interval.high for interval in intervals]) if whole else None,
        records=tuple(records),
        spread=_spread(values),
        published=card.published.get(key) if card else None,
        drift=tuple(other.headline.value for record in records for other in drift.get(record.record_id, ())[1:]),
    )


def _mean(values: Sequence[float]) -> float:
    """Return the mean over seeds; most jobs have one, and need no exact sum."""
    return values[0] if len(values) == 1 else fmean(values)


def _spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds; Python's own is exact and a hundred times slower."""
    if len(values) < 2:
        return None
    middle = fmean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))


def rank(row: Row, means: MetricDefinition) -> tuple[float, str, str]:
    """Return the order of rows: best mean first, then by name."""
    value = row.mean.value
    sign = -1.0 if means.higher_is_better else 1.0
    return (math.inf if value is None else sign * value, row.model.name, row.variant)


def mark_best(rows: Sequence[Row], columns: tuple[Column, ...]) -> tuple[Row, ...]:
    """Return the rows with each column's best marked, and all whose interval overlaps the best's; controls aside."""
    marked = [list(row.cells) for row in rows]
    for index, column in enumerate(columns):
        cells = [(i, cell) for i, row in enumerate(rows) if (cell := row.cells[index]) and not row.control]
        if not cells:
            continue
        sign = 1 if column.definition.higher_is_better else -1
        _, best = max(cells, key=lambda item: sign * item[1].value)
        for i, cell in cells:
            if cell.value == best.value or _overlap(cell, best):
                marked[i][index] = dataclasses.replace(cell, best=True)
    return tuple(dataclasses.replace(row, cells=tuple(cells)) for row, cells in zip(rows, marked, strict=True))


def _overlap(one: Cell, other: Cell) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high
