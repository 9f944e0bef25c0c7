"""A task's page: what it asks, how every model answered under every protocol, and where models err and agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ssl_bench.leaderboard import addresses, answers, licences, words
from ssl_bench.leaderboard.answers import Answers
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.model_page import interval
from ssl_bench.leaderboard.ranking import Cell, Column, Row, Table
from ssl_bench.leaderboard.text import label
from ssl_bench.pages import trusted
from ssl_bench.results.describe import number
from ssl_bench.results.record import MetricDefinition, Record
from ssl_bench.tasks import TaskCard

MATRIX = 24
"""Classes up to which confusions are shown as a matrix; of more, the commonest mistakes are listed."""
MISTAKES = 24
MODELS = 12
"""Models per protocol, best first, whose answers are looked into."""
CLASSES = 40
"""Classes whose recall is shown, hardest first."""


def context(material: Material, name: str) -> dict[str, Any]:
    """Return what the template `task.html` is filled with, for a task that has a column on the board."""
    places = material.by_task[name]
    column = places[0][0].columns[places[0][1]]
    card = material.tasks.get(name)
    looked = [found for table, place in places if (found := _looked_into(material, table, place, card))]
    return {
        "task": name,
        "title": column.task.title or name,
        "note": card.note.strip() if card else "",
        "facts": words.facts(_facts([table.columns[place] for table, place in places], card)),
        "splits": _splits(column, card),
        "overview": _overview(places),
        "tables": [_table(table, place) for table, place in places],
        "looked": [_shown(one) for one in looked],
        "examples": _examples(material, looked, card),
    }


# ---------------------------------------------------------------- what it asks


def _facts(columns: Sequence[Column], card: TaskCard | None) -> Iterator[tuple[str, Any]]:
    task = columns[0].task
    yield "kind", task.kind
    yield "classes", f"{task.classes:,}" if task.classes else ""
    for name, definition in {column.task.metric: column.definition for column in columns}.items():
        yield "headline metric", ", ".join([name, *_read(definition)])
    headlines = {column.task.metric for column in columns}
    yield "further metrics", ", ".join(sorted({name for column in columns for name in column.task.metrics} - headlines))
    yield "source", task.source.get("url")
    yield "licence", task.source.get("licence")
    yield "citation", task.source.get("citation")
    yield "reader", card.reader if card else ""
    yield "version", str(task.version)
    for digest in dict.fromkeys(column.task.digest for column in columns):
        yield "task digest", digest
    yield "label map sha256", task.labels.sha256 if task.labels else ""
    yield "card", f"tasks/{card.name}.toml" if card else "none: the records tell what they knew"


def _read(definition: MetricDefinition) -> Iterator[str]:
    """Give how a metric's numbers are read."""
    yield "in percent" if definition.unit == "fraction" else f"in {definition.unit}"
    yield "higher is better" if definition.higher_is_better else "lower is better"
    if definition.chance is not None:
        yield f"chance {number(definition.chance, definition)}"
    if definition.ceiling is not None:
        yield f"at best {number(definition.ceiling, definition)}"


def _splits(column: Column, card: TaskCard | None) -> list[tuple[str, str, str, str]]:
    """Return (split, samples, what of the source it is, digest of the sample ids)."""
    task = column.task
    made = {"train": card.splits.train, "val": card.splits.val, "test": card.splits.test} if card else {}
    order = [*(role for role in ("train", "val", "test") if role in task.samples)]
    order += sorted(set(task.samples) - set(order))
    return [(role, f"{task.samples[role]:,}", made.get(role, ""), (task.ids or {}).get(role, "")) for role in order]


# ---------------------------------------------------------------- how models answered


def _table(table: Table, place: int) -> dict[str, Any]:
    column = table.columns[place]
    definition = column.definition
    return {
        "protocol": table.protocol,
        "version": table.version,
        "metric": column.task.metric,
        "unit": "%" if definition.unit == "fraction" else definition.unit,
        "question": column.question,
        "chance": "—" if definition.chance is None else number(definition.chance, definition),
        "lines": [
            {
                "rank": rank,
                "name": row.model.name,
                "title": row.model.title or row.model.name,
                "variant": row.variant,
                "control": row.control,
                "page": addresses.UP + addresses.of_model(row.model.name),
                "value": number(cell.value, definition),
                "id": cell.records[0].record_id[:12],
                "interval": interval(cell, definition),
                "seeds": len(cell.records),
                "spread": number(cell.spread, definition) if cell.spread is not None else "",
                "best": cell.best,
                "published": number(cell.published.value, definition) if cell.published else "",
                "source": cell.published.source if cell.published else "",
                "contaminated": cell.contaminated,
                "drift": bool(cell.drift),
                "standing": row.standing.level,
            }
            for rank, (row, cell) in enumerate(_ordered(table, place), start=1)
        ],
    }


def _overview(places: Sequence[tuple[Table, int]]) -> dict[str, Any]:
    """Return every model's value under every protocol, by the first protocol's order; none where there is but one."""
    values: dict[tuple[str, str], dict[int, tuple[str, str, bool]]] = {}
    rows: dict[tuple[str, str], Row] = {}
    for i, (table, place) in enumerate(places):
        definition = table.columns[place].definition
        for row, cell in _ordered(table, place):
            key = row.model.name, row.variant
            rows.setdefault(key, row)
            values.setdefault(key, {})[i] = number(cell.value, definition), interval(cell, definition), cell.best
    return {
        "heads": [(table.protocol, table.columns[place].task.metric) for table, place in places],
        "lines": [
            {
                "label": label(row),
                "page": addresses.UP + addresses.of_model(row.model.name),
                "control": row.control,
                "values": [values[key].get(i) for i in range(len(places))],
            }
            for key, row in rows.items()
            if len(places) > 1
        ],
    }


def _ordered(table: Table, place: int) -> list[tuple[Row, Cell]]:
    """Return the rows that answer a column, best first."""
    sign = -1 if table.columns[place].definition.higher_is_better else 1
    found = [(row, cell) for row in table.rows if (cell := row.cells[place])]
    return sorted(found, key=lambda item: (sign * item[1].value, item[0].model.name, item[0].variant))


# ---------------------------------------------------------------- where they err and agree


@dataclasses.dataclass(frozen=True, eq=False)
class Looked:
    """The answers under one protocol, best model first."""

    protocol: str
    names: Mapping[int, str]
    """Class to its name, where it has one."""
    answers: Sequence[tuple[Row, Record, Answers]]


def _looked_into(material: Material, table: Table, place: int, card: TaskCard | None) -> Looked | None:
    """Return the answers that are here of a column's models, each of its first seed; None where there are none."""
    found: list[tuple[Row, Record, Answers]] = []
    for row, cell in _ordered(table, place):
        record = cell.records[0]
        predictions = material.predictions(record) if len(found) < MODELS else None
        said = answers.answers_of(record, predictions) if predictions else None
        if said:
            found.append((row, record, said))
    if not found:
        return None
    stated = found[0][1].task.labels
    names = (stated.names if stated else ()) or (card.class_names if card else ())
    return Looked(table.protocol, dict(enumerate(names)), found)


def _shown(looked: Looked) -> dict[str, Any]:
    return {
        "protocol": looked.protocol,
        "clean": looked.answers[0][1].task.kind == "robustness",
        "confusions": [
            {
                "label": label(row),
                "seed": record.seed,
                "id": record.record_id[:12],
                "page": addresses.UP + addresses.of_model(row.model.name),
                "wrong": int((~said.right).sum()),
                "n": len(said.ids),
                **_confusion(looked, record, said),
            }
            for row, record, said in looked.answers
        ],
        "models": [label(row) for row, _, _ in looked.answers],
        **_recalls(looked),
        "agreement": [[_agreement(one, other) for *_, other in looked.answers] for *_, one in looked.answers],
    }


def _named(looked: Looked, one: int) -> str:
    return looked.names.get(one, str(one))


def _confusion(looked: Looked, record: Record, said: Answers) -> dict[str, Any]:
    """Return a matrix of (times, shade 0 to 9) by row, or a list of the commonest mistakes."""
    if record.task.classes > MATRIX:
        found = answers.confused(said, MISTAKES)
        return {
            "matrix": [],
            "mistakes": [(_named(looked, a), _named(looked, b), times, of) for a, b, times, of in found],
        }
    counts = answers.confusion(said, range(record.task.classes))
    rows = []
    for i, row in enumerate(counts.tolist()):
        whole = max(1, sum(row))
        rows.append(
            (_named(looked, i), [(times, min(9, -(-9 * times // whole)), i == j) for j, times in enumerate(row)])
        )
    return {"matrix": rows, "mistakes": []}


def _recalls(looked: Looked) -> dict[str, Any]:
    """Return the recall of every class by every model, hardest class first."""
    found = [answers.recalls(said) for *_, said in looked.answers]
    there = {one: n for recalls in reversed(found) for one, (_, n) in recalls.items()}
    mean = {one: sum(right[one][0] / right[one][1] for right in found if one in right) for one in there}
    hardest = sorted(there, key=lambda one: (mean[one], one))
    lines = [
        (_named(looked, one), there[one], [_share(*right[one]) if one in right else "—" for right in found])
        for one in hardest[:CLASSES]
    ]
    return {"recalls": lines, "classes": len(hardest)}


def _share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f}"


def _agreement(one: Answers, other: Answers) -> tuple[str, str]:
    """Return the shares of samples that both get right and that one alone does; of a model with itself, the first."""
    if one is other:
        return _share(int(one.right.sum()), len(one.ids)), ""
    shares = answers.agreement(one, other)
    return (f"{100 * shares[0]:.1f}", f"{100 * shares[1]:.1f}") if shares else ("—", "")


# ---------------------------------------------------------------- examples


def _examples(material: Material, looked: Sequence[Looked], card: TaskCard | None) -> dict[str, Any]:
    """Return images that the best model with answers here gets right and wrong, or why there are none."""
    if not material.examples or not material.images:
        return {"why": "", "groups": []}
    licence = card.source.licence if card else ""
    if not licences.allows_showing(licence):
        return {"why": f"Its licence does not allow showing images: {licence or 'none stated'}.", "groups": []}
    known = [(one, *found) for one in looked for found in one.answers]
    best = min(known, key=lambda found: found[1].control, default=None)  # the first that is no control, or the first
    if best is None:
        return {"why": "The per-sample predictions are not here.", "groups": []}
    one, row, record, said = best
    positions = {right: answers.chosen(said, right, material.examples) for right in (True, False)}
    images = material.images(record, [said.ids[i] for found in positions.values() for i in found])
    if not images:
        return {"why": "The images are not on this machine.", "groups": []}
    groups = [
        (
            "Right" if right else "Wrong",
            [
                {
                    "src": trusted(images[said.ids[i]]),
                    "is": _named(one, int(said.targets[i])),
                    "said": "" if right else _named(one, int(said.said[i])),
                    "id": said.ids[i],
                }
                for i in found
                if said.ids[i] in images
            ],
        )
        for right, found in positions.items()
    ]
    credit = "; ".join(part for part in (card.source.citation, licence, card.source.url) if part) if card else ""
    return {"why": "", "groups": groups, "label": label(row), "protocol": one.protocol, "credit": credit}
