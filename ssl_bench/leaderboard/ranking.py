"""Which numbers may stand in one column, and what follows from them: seeds, means, and what is best.

A column is one question: one task content, one protocol, one recipe, one request for features. Two questions in one
column are refused. Seeds of one model are averaged. A mean needs every task of its group or suite.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from ssl_bench import cards as card_files
from ssl_bench.aggregators import Aggregator, Answer
from ssl_bench.errors import IncomparableError, UsageError
from ssl_bench.files import canonical_json
from ssl_bench.model_zoo import ModelCard, Published
from ssl_bench.results.questions import asked, differing, flat, short
from ssl_bench.results.record import MetricDefinition, Model, Record, Task
from ssl_bench.tasks import SuiteCard

Drift = Mapping[str, Sequence[Record]]
NO_DRIFT: Drift = {}
CONTROLS = frozenset({"random", "pixels", "majority"})
"""Adapters of models that know nothing: what any pretraining must beat."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One question."""

    task: Task
    group: str
    question: str

    @property
    def definition(self) -> MetricDefinition:
        """How the column's numbers are read."""
        return self.task.metrics[self.task.metric]


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


@dataclasses.dataclass(frozen=True)
class Mean:
    """A mean over tasks, or why there is none."""

    value: float | None
    present: int
    total: int


@dataclasses.dataclass(frozen=True)
class Row:
    """One model under one way of making features."""

    model: Model
    variant: str
    """What sets this row apart from others of the same name; usually empty."""
    cells: tuple[Cell | None, ...]
    groups: Mapping[str, Mean]
    mean: Mean

    @property
    def control(self) -> bool:
        """Whether the model knows nothing, by construction."""
        return self.model.adapter in CONTROLS


@dataclasses.dataclass(frozen=True)
class Table:
    """What one protocol found."""

    protocol: str
    version: int
    recipe: Mapping[str, Any]
    groups: tuple[str, ...]
    """Of the suite, those that the protocol asks."""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    """Best mean first; models without a mean after them, by name."""
    absent: tuple[str, ...]
    """Tasks of the suite that no record answers."""
    chance: Mean
    means: MetricDefinition
    """How the means are read: as the tasks' metrics, or as a fraction where they are normalised."""


@dataclasses.dataclass(frozen=True)
class Board:
    """What is published."""

    suite: SuiteCard
    tables: tuple[Table, ...]
    skipped: tuple[tuple[str, str], ...]
    """(what, why) of everything that was given and is not in a table."""

    @property
    def records(self) -> list[Record]:
        """Every record behind the tables."""
        cells = (cell for table in self.tables for row in table.rows for cell in row.cells if cell)
        return [record for cell in cells for record in cell.records]


def make_board(
    records: Iterable[Record],
    suite: SuiteCard | None = None,
    cards: Mapping[str, ModelCard] | None = None,
    *,
    protocols: Sequence[str] = (),
    questions: Sequence[str] = (),
    skipped: Iterable[tuple[str, str]] = (),
    drift: Drift = NO_DRIFT,
) -> Board:
    """Return the board of a suite, or without one, of all tasks that the records answer.

    `protocols` chooses protocols as "knn" or "knn,k=20,version=1"; without it the suite's, or all, are shown.
    `questions` chooses by the first digits of question digests. `skipped` is passed on to the reader of the board;
    `drift` (record id to the records of a job that has unequal numbers, oldest first) marks cells.
    Raises IncomparableError where one column would hold two questions, UsageError for a choice that chooses nothing.
    """
    left_out = list(skipped)
    chosen = _without_truncated(_unique(records), left_out)
    chosen = _chosen(chosen, protocols, questions)
    suite = suite or _suite_of(chosen)
    names = _protocol_order(suite, chosen, asked=bool(protocols or questions))
    chosen = _of_the_suite(chosen, suite, names, left_out)
    tables = tuple(
        _make_table(name, [record for record in chosen if record.protocol.name == name], suite, cards or {}, drift)
        for name in names
        if any(record.protocol.name == name for record in chosen)
    )
    return Board(suite, tables, tuple(left_out))


def _unique(records: Iterable[Record]) -> list[Record]:
    """Return one record per job, the oldest, in an order that does not depend on the order given."""
    found: dict[str, Record] = {}
    for record in sorted(records, key=lambda record: (record.created, record.content_digest)):
        found.setdefault(record.record_id, record)
    return sorted(found.values(), key=lambda record: (record.model.name, record.record_id))


def _without_truncated(records: list[Record], left_out: list[tuple[str, str]]) -> list[Record]:
    for record in records:
        if record.task.truncated:
            job = f"{record.model.name} · {record.task.name} · {record.protocol.name} · {record.record_id[:12]}"
            left_out.append((job, f"truncated to {record.task.truncated} samples per split"))
    return [record for record in records if not record.task.truncated]


def _chosen(records: list[Record], protocols: Sequence[str], questions: Sequence[str]) -> list[Record]:
    """Return the records that the caller's words choose; raise UsageError for a word that chooses none."""
    for kind, words, matches in (("protocol", protocols, _is_protocol), ("question", questions, _is_question)):
        if not words or not records:
            continue
        for word in words:
            if not any(matches(record, word) for record in records):
                known = sorted({record.protocol.name for record in records})
                raise UsageError(f"no record answers the {kind} {word!r}; there are records of {', '.join(known)}")
        records = [record for record in records if any(matches(record, word) for word in words)]
    return records


def _is_question(record: Record, prefix: str) -> bool:
    return bool(prefix) and record.question.startswith(prefix.lower())


def _is_protocol(record: Record, word: str) -> bool:
    name, options = card_files.parse_reference(word)
    stated = {"version": record.protocol.version} | dict(record.protocol.recipe)
    return record.protocol.name == name and all(
        key in stated and _same(stated[key], value) for key, value in options.items()
    )


def _same(value: Any, word: str) -> bool:
    """Return whether a recipe's value is what a word of the command line says; lists are written "10+20"."""
    try:
        told = [json.loads(part) for part in word.split("+")]
    except json.JSONDecodeError:
        return str(value) == word
    return bool(value == (told if isinstance(value, list) else told[0]))


def _suite_of(records: list[Record]) -> SuiteCard:
    """Return a nameless suite of every task and protocol in the records."""
    names = sorted({record.task.name for record in records})
    protocols = sorted({record.protocol.name for record in records})
    return SuiteCard("", "All tasks", {"Tasks": tuple(names)}, tuple(protocols))


def _protocol_order(suite: SuiteCard, records: list[Record], asked: bool) -> list[str]:
    """Return the protocols to show: the suite's in its order, then any that was asked for by name."""
    found = sorted({record.protocol.name for record in records})
    return list(dict.fromkeys([*(name for name in suite.all_protocols if name in found), *(found if asked else [])]))


def _of_the_suite(
    records: list[Record], suite: SuiteCard, protocols: list[str], left_out: list[tuple[str, str]]
) -> list[Record]:
    """Return the suite's records, and say of the others how many they are."""
    others: dict[str, int] = defaultdict(int)
    inside = []
    for record in records:
        if record.task.name not in suite.tasks:
            others[f"task {record.task.name}"] += 1
        elif not any(record.task.name in names for names in suite.asks(record.protocol.name).values()):
            others[f"{record.task.name} × {record.protocol.name}"] += 1
        elif record.protocol.name not in protocols:
            others[f"protocol {record.protocol.name}"] += 1
        else:
            inside.append(record)
    for what, count in sorted(others.items()):
        left_out.append((what, f"{count} record{'s' * (count > 1)} outside this board's suite"))
    return inside


# ---------------------------------------------------------------- one table


def _make_table(
    protocol: str, records: list[Record], suite: SuiteCard, cards: Mapping[str, ModelCard], drift: Drift
) -> Table:
    groups = suite.asks(protocol)
    group_of = {task: group for group, tasks in reversed(list(groups.items())) for task in tasks}
    tasks = tuple(dict.fromkeys(task for names in groups.values() for task in names))
    by_task: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_task[record.task.name].append(record)
    columns = tuple(
        Column(_one_question(task, protocol, by_task[task]), group_of[task], by_task[task][0].question)
        for task in tasks
        if task in by_task
    )
    means = _Means(suite.aggregator, groups, columns)
    rows = [_make_row(found, variant, columns, means, cards, drift) for found, variant in _by_row(records)]
    first = records[0].protocol
    return Table(
        protocol=protocol,
        version=first.version,
        recipe=first.recipe,
        groups=tuple(groups),
        columns=columns,
        rows=_mark_best(sorted(rows, key=lambda row: _rank(row, means.definition)), columns),
        absent=tuple(task for task in tasks if task not in by_task),
        chance=means.of([column.definition.chance for column in columns])[1],
        means=means.definition,
    )


def _one_question(task: str, protocol: str, records: list[Record]) -> Task:
    """Return the column's task; raise IncomparableError naming what differs where there are two questions."""
    questions: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        questions[record.question].append(record)
    if len(questions) == 1:
        return records[0].task
    parts = {digest: flat(asked(found[0])) for digest, found in questions.items()}
    keys = differing(parts.values())
    wordings = [
        f"{digest[:8]} ({_models(found)}): " + ", ".join(f"{key} = {short(parts[digest].get(key))}" for key in keys)
        for digest, found in sorted(questions.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    raise IncomparableError(
        f"{task} × {protocol}: the records answer {len(questions)} different questions and cannot share a column. "
        f"{'; '.join(wordings)}. Choose one with --question {next(iter(sorted(questions)))[:8]}, or by recipe with "
        f"--protocol {protocol},key=value"
    )


def _models(records: list[Record]) -> str:
    names = sorted({record.model.name for record in records})
    return names[0] if len(names) == 1 else f"{len(names)} models, such as {names[0]}"


def _by_row(records: list[Record]) -> list[tuple[list[Record], str]]:
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


def _make_row(
    records: list[Record],
    variant: str,
    columns: tuple[Column, ...],
    means: _Means,
    cards: Mapping[str, ModelCard],
    drift: Drift,
) -> Row:
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
    records = sorted(records, key=lambda record: record.seed)
    values = [record.headline.value for record in records]
    intervals = [record.headline.interval for record in records if record.headline.interval]
    whole = len(intervals) == len(records)
    key = f"{records[0].task.name}/{records[0].protocol.name}"
    return Cell(
        value=fmean(values),
        low=fmean(interval.low for interval in intervals) if whole else None,
        high=fmean(interval.high for interval in intervals) if whole else None,
        records=tuple(records),
        spread=_spread(values),
        published=card.published.get(key) if card else None,
        drift=tuple(other.headline.value for record in records for other in drift.get(record.record_id, ())[1:]),
    )


def _spread(values: Sequence[float]) -> float | None:
    """Return the standard deviation over seeds; Python's own is exact and a hundred times slower."""
    middle = fmean(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1)) if len(values) > 1 else None


@dataclasses.dataclass(frozen=True)
class _Means:
    """Makes the means of one table: an aggregator, the groups that its protocol asks, and its columns."""

    aggregator: Aggregator
    groups: Mapping[str, Sequence[str]]
    columns: tuple[Column, ...]

    @property
    def definition(self) -> MetricDefinition:
        """How the means are read; where they exist, all columns have one unit and direction."""
        return (
            MetricDefinition("fraction", True, 0.0, 1.0, 0.0)
            if self.aggregator.normalised
            else self.columns[0].definition
        )

    def of(self, values: Sequence[float | None]) -> tuple[dict[str, Mean], Mean]:
        """Return the means of the groups and of all, from a value per column; none where a task is missing."""
        known = {
            column.task.name: _answer(value, column.definition)
            for column, value in zip(self.columns, values, strict=True)
            if value is not None
        }
        answers = {
            group: {task: known[task] for task in tasks if task in known} for group, tasks in self.groups.items()
        }
        groups = {
            group: _whole(self.aggregator.mean([*answers[group].values()]), answers[group], tasks)
            for group, tasks in self.groups.items()
        }
        every = {task for tasks in self.groups.values() for task in tasks}
        return groups, _whole(self.aggregator.aggregate(answers), known, every)


def _whole(value: float | None, known: Mapping[str, Answer], tasks: Collection[str]) -> Mean:
    """Return a mean that stands only where every task is known, with how many are."""
    present = sum(task in known for task in tasks)
    return Mean(value if present == len(tasks) else None, present, len(tasks))


def _answer(value: float, definition: MetricDefinition) -> Answer:
    best = definition.high if definition.higher_is_better else definition.low
    return Answer(value, definition.unit, definition.higher_is_better, definition.chance, best)


def _rank(row: Row, means: MetricDefinition) -> tuple[float, str, str]:
    """Return the order of rows: best mean first, then by name."""
    value = row.mean.value
    sign = -1.0 if means.higher_is_better else 1.0
    return (math.inf if value is None else sign * value, row.model.name, row.variant)


def _mark_best(rows: Sequence[Row], columns: tuple[Column, ...]) -> tuple[Row, ...]:
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
