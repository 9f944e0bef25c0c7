"""What protocols say of a test set: one type per way of asking. Metrics score each against labels that the harness
alone holds (`Truth`), and the store keeps each, sample by sample."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench import episodes

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, eq=False)
class Judgements:
    """What people said of a gallery, query by query: positions in the split "train", (found,) each."""

    easy: tuple[Ints, ...]
    hard: tuple[Ints, ...]
    junk: tuple[Ints, ...]
    """Neither right nor wrong: taken out of a ranking."""


@dataclasses.dataclass(frozen=True, eq=False)
class Truth:
    """Labels that no protocol sees."""

    labels: Mapping[str, Ints]
    """Labels per split, "test" among them: (samples,), 0 … classes - 1."""
    classes: int
    judgements: Judgements | None = None
    """What is to be found, where classes do not say it."""

    @property
    def targets(self) -> Ints:
        """Labels of the test split, (samples,)."""
        return self.labels["test"]


class Predictions(abc.ABC):
    """What a protocol says of a test set."""

    kind: ClassVar[str]
    """The word by which metrics say what they score."""

    @property
    def asked(self) -> int | None:
        """How many test samples were answered; None where answers are not one per sample."""
        return None

    @abc.abstractmethod
    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        """Return the columns that are kept, for the test samples with these ids; see `results.samples`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Classes(Predictions):
    """A class for every test sample, in the split's order."""

    kind: ClassVar[str] = "classes"

    ranked: Ints  # (samples, up to 5): classes, best first
    confidence: Floats  # (samples,): score of the first class, in the protocol's own unit
    probability: bool = False
    """True: `confidence` is a probability, so that calibration can be measured."""
    scores: Floats | None = None  # (samples, classes): where a metric of the task needs all of them

    @property
    def asked(self) -> int:
        return len(self.ranked)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        ranked = self.ranked[:, :5]
        columns = {"sample_id": list(ids), "target": truth.targets, "pred": ranked[:, 0], "top5": ranked}
        columns["confidence"] = self.confidence.astype(np.float32)
        return columns if self.scores is None else {**columns, "scores": self.scores.astype(np.float32)}


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters(Predictions):
    """A group for every test sample; groups bear no names of classes."""

    kind: ClassVar[str] = "clusters"

    assigned: Ints  # (samples,)

    @property
    def asked(self) -> int:
        return len(self.assigned)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {"sample_id": list(ids), "target": truth.targets, "cluster": self.assigned}


@dataclasses.dataclass(frozen=True, eq=False)
class Rankings(Predictions):
    """For every test sample, a query, the gallery from the most to the least similar."""

    kind: ClassVar[str] = "rankings"

    order: NDArray[np.int32]  # (queries, ranked): positions in the gallery
    gallery: str = "test"
    """The split that is ranked; where it is "test", a query is not in its own ranking."""

    @property
    def asked(self) -> int:
        return len(self.order)

    def hits(self, truth: Truth) -> list[Ints]:
        """Return, for every query, the places from 0 of the images of its class among those that were ranked."""
        labels = truth.labels[self.gallery]
        return [np.flatnonzero(labels[row] == target) for row, target in zip(self.order, truth.targets, strict=True)]

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        if truth.judgements is None:
            return {"sample_id": list(ids), "target": truth.targets, "hits": self.hits(truth)}
        judged = {"hits_easy": truth.judgements.easy, "hits_hard": truth.judgements.hard, "junk": truth.judgements.junk}
        return {"sample_id": list(ids)} | {name: self._places(positions) for name, positions in judged.items()}

    def _places(self, positions: Sequence[Ints]) -> list[Ints]:
        """Return the places from 0 of the images at `positions`, query by query."""
        return [np.flatnonzero(np.isin(row, some)) for row, some in zip(self.order, positions, strict=True)]


@dataclasses.dataclass(frozen=True, eq=False)
class Episodic(Predictions):
    """A way for every query of every episode."""

    kind: ClassVar[str] = "episodes"

    predicted: Ints  # (episodes, ways · queries): 0 … ways - 1
    draw: episodes.Draw

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        drawn, answers = episodes.draw(truth.targets, self.draw)
        count, queries = answers.shape
        return {
            "sample_id": [ids[int(position)] for position in drawn.query.ravel()],
            "target": answers.ravel(),
            "episode": np.repeat(np.arange(count), queries),
            "pred": self.predicted.ravel(),
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Quantities(Predictions):
    """Numbers that are read off the features without any label."""

    kind: ClassVar[str] = "quantities"

    values: Mapping[str, float]
    """Metric name to value."""
    basis: Mapping[str, NDArray[np.float64]]
    """What the values can be computed from again: column name to (rows,); kept with NaN where columns are shorter."""

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        rows = max(len(column) for column in self.basis.values())
        return {
            name: np.concatenate([column, np.full(rows - len(column), np.nan)]) for name, column in self.basis.items()
        }
