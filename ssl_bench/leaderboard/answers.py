"""What models said of every test image: confusions, recall by class, agreement of two models, samples right and wrong.

Predictions are foreign: classes are counted as they occur, and nothing is allocated by a number that a record states.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table


@dataclasses.dataclass(frozen=True, eq=False)
class Answers:
    """One record's answers to the test samples of a task with one right class each."""

    ids: tuple[str, ...]
    targets: NDArray[np.int64]  # (samples,)
    said: NDArray[np.int64]  # (samples,)

    @property
    def right(self) -> NDArray[np.bool_]:  # (samples,)
        """Of which samples the class was found."""
        right: NDArray[np.bool_] = self.targets == self.said
        return right


def answers_of(record: Record, table: Table) -> Answers | None:
    """Return the answers that a table of predictions holds; of shifted sets, those to the clean one.

    None where there is no one class to be right about: clusters, rankings, episodes, several labels, quantities.
    """
    if not {"sample_id", "target", "pred"} <= set(table) or "episode" in table:
        return None
    targets, said = np.asarray(table["target"] if "set" not in table else _first(table["target"])), table["pred"]
    ids = np.asarray(table["sample_id"], dtype=object)
    if "set" in table:
        clean = np.flatnonzero(np.asarray(table["set"], dtype=object) == "test")
        ids, targets, said = ids[clean], targets[clean], said[clean]
    if not len(said) or not all(_are_classes(array, record.task.classes) for array in (targets, said)):
        return None
    return Answers(tuple(map(str, ids)), targets, said)


def _are_classes(labels: NDArray[Any], classes: int) -> bool:
    return labels.dtype == np.int64 and labels.ndim == 1 and labels.min() >= 0 and bool(labels.max() < classes)


def _first(targets: Any) -> Any:
    """Return the first of the labels of samples that may have several."""
    return targets[:, 0] if getattr(targets, "ndim", 1) == 2 else targets


def confusion(answers: Answers, labels: Sequence[int]) -> NDArray[np.int64]:
    """Return how often each of `labels` (rows) was taken for each (columns); (labels, labels)."""
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    rows, columns = ([place[label] for label in side.tolist()] for side in (answers.targets, answers.said))
    np.add.at(counts, (rows, columns), 1)
    return counts


def confused(answers: Answers, most: int) -> list[tuple[int, int, int, int]]:
    """Return (class, taken for, times, samples of the class) of the commonest mistakes, at most `most`."""
    wrong = ~answers.right
    pairs, times = np.unique(np.stack([answers.targets[wrong], answers.said[wrong]]), axis=1, return_counts=True)
    order = np.lexsort((pairs[1], pairs[0], -times))[:most]
    held = dict(zip(*(side.tolist() for side in np.unique(answers.targets, return_counts=True)), strict=True))
    return [(int(pairs[0, i]), int(pairs[1, i]), int(times[i]), held[int(pairs[0, i])]) for i in order]


def recalls(answers: Answers) -> dict[int, tuple[int, int]]:
    """Return, of every class that has test samples, how many were found, and how many there are."""
    labels, places = np.unique(answers.targets, return_inverse=True)
    there, found = np.bincount(places), np.bincount(places, answers.right)
    return {int(label): (round(found[i]), int(there[i])) for i, label in enumerate(labels)}


def agreement(one: Answers, other: Answers) -> tuple[float, float] | None:
    """Return the shares of samples that both get right, and that exactly one does; None for other samples."""
    if one.ids != other.ids or not np.array_equal(one.targets, other.targets):
        return None
    return float((one.right & other.right).mean()), float((one.right ^ other.right).mean())


def chosen(answers: Answers, right: bool, count: int) -> list[int]:
    """Return positions of at most `count` samples that were got right, or wrong: drawn the same every time, and of as
    many classes as there are."""
    drawn = np.random.default_rng(0).permutation(np.flatnonzero(answers.right == right)).tolist()
    seen: dict[int, int] = {}
    turn = []
    for position in drawn:
        label = int(answers.targets[position])
        seen[label] = seen.get(label, 0) + 1
        turn.append(seen[label])
    order = sorted(range(len(drawn)), key=lambda i: (turn[i], i))[:count]
    return [drawn[i] for i in order]
