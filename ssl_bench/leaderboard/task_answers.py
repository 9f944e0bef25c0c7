"""Where models err and agree on a task, and examples of it: what the task's page prints of per-sample predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.leaderboard import addresses, answers, licences
from ssl_bench.leaderboard.answers import Answers
from ssl_bench.leaderboard.material import Material
from ssl_bench.leaderboard.ranking import Cell, Row, Table
from ssl_bench.leaderboard.text import label
from ssl_bench.results.record import Record
from ssl_bench.tasks import TaskCard

MATRIX = 24
"""Classes up to which confusions are shown as a matrix; of more, the commonest mistakes are listed."""
MISTAKES = 24
MODELS = 12
"""Models per protocol, best first, whose answers are looked into."""
CLASSES = 40
"""Classes whose recall is shown, hardest first."""


def ordered(table: Table, place: int) -> list[tuple[Row, Cell]]:
    """Return the rows that answer a column, best first."""
    sign = -1 if table.columns[place].definition.higher_is_better else 1
    found = [(row, cell) for row in table.rows if (cell := row.cells[place])]
    return sorted(found, key=lambda item: (sign * item[1].value, item[0].model.name, item[0].variant))


@dataclasses.dataclass(frozen=True, eq=False)
class Looked:
    """The answers under one protocol, best model first."""

    protocol: str
    names: Mapping[int, str]
    """Class to its name, where it has one."""
    answers: Sequence[tuple[Row, Record, Answers]]


def looked_into(material: Material, table: Table, place: int, card: TaskCard | None) -> Looked | None:
    """Return the answers that are here of a column's models, each of its first seed; None where there are none."""
    found: list[tuple[Row, Record, Answers]] = []
    for row, cell in ordered(table, place):
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


def shown(looked: Looked) -> dict[str, Any]:
    """Return confusions, recall by class and agreement, as the template prints them."""
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


def examples(material: Material, looked: Sequence[Looked], card: TaskCard | None) -> dict[str, Any]:
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
                    "src": images[said.ids[i]],
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
