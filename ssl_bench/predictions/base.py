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
from ssl_bench.targets import Target, Targets

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
    """Labels per split, "test" among them: (samples,), 0 … classes - 1; or (samples, classes) for `Multilabel`; or of a
    shifted set (samples, most), every label that is right and then -1."""
    classes: int
    ids: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    """Names of the samples, per split."""
    normalisers: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """Errors of a reference network on shifted test sets, as fractions, by their names."""
    judgements: Judgements | None = None
    """What is to be found, where classes do not say it."""
    dense: Targets | None = None
    """What is true of the parts of each test image, where the task asks that."""
    class_names: Sequence[str] = ()
    """In words, by label, where classes have any."""

    def of(self, split: str) -> Truth:
        """Return the truth of another split, as if it were the test split."""
        return Truth({"test": self.labels[split]}, self.classes)

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

    def judged(self, truth: Truth) -> Predictions:
        """Return what metrics score and the store keeps: for what is said of an image's parts, what came of comparing
        each image with its target, once; otherwise this itself."""
        return self

    def of_image(self, index: int, size: tuple[int, int]) -> Target | None:
        """Return what is said of the parts of a test image of this height and width, as if it were true, for a person
        to look at; None where nothing is."""
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
class Multilabel(Predictions):
    """A score of every class for every test sample, of which any number may hold.

    Targets are (samples, classes): 1 holds, 0 does not, -1 is too hard to say and counts neither way.
    """

    kind: ClassVar[str] = "multilabel"

    scores: Floats  # (samples, classes)

    @property
    def asked(self) -> int:
        return len(self.scores)

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {"sample_id": list(ids), "target": truth.targets, "scores": self.scores.astype(np.float32)}


@dataclasses.dataclass(frozen=True, eq=False)
class Shifted(Predictions):
    """Classes for every test sample and for every sample of further, shifted test sets."""

    kind: ClassVar[str] = "shifts"

    clean: Classes
    sets: Mapping[str, Classes]
    """Name of a set to what is said of its samples."""

    @property
    def asked(self) -> int:
        return self.clean.asked

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        parts = {"test": self.clean, **self.sets}
        tables = [
            part.table(ids if name == "test" else truth.ids[name], truth.of(name)) for name, part in parts.items()
        ]
        width = max(table["top5"].shape[1] for table in tables)
        for table in tables:  # a set of fewer than five classes has fewer to rank
            missing = width - table["top5"].shape[1]
            table["top5"] = np.pad(table["top5"], ((0, 0), (0, missing)), constant_values=-1)
        if any(table["target"].ndim == 2 for table in tables):  # a set of which each is right, in one set or more
            most = max(table["target"].reshape(len(table["target"]), -1).shape[1] for table in tables)
            for table in tables:
                target = table["target"].reshape(len(table["target"]), -1)
                table["target"] = np.pad(target, ((0, 0), (0, most - target.shape[1])), constant_values=-1)
        columns: dict[str, Any] = {"sample_id": [one for table in tables for one in table["sample_id"]]}
        columns["set"] = [name for name, part in parts.items() for _ in range(part.asked)]
        names = ("target", "pred", "top5", "confidence")
        return columns | {name: np.concatenate([table[name] for table in tables]) for name in names}


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
