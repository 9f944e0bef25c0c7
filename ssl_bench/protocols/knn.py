"""Nearest neighbours: the votes of the k training images most like each test image, as DINO counts them.

    votes(class) = Σ over the k nearest of that class of exp(s / T)      ("exponential"; s is the similarity)
                 = how many of the k nearest are of that class           ("uniform")

The semantics of facebookresearch/dino eval_knn.py: the bank is the whole of train, k = 20, T = 0.07, and further
readings at 10, 100 and 200. Nothing is selected, so val is not looked at. What that code leaves to chance is fixed
here. Equally similar images are taken in the order of train. Classes with equal votes, none included, are ranked by
number ("exponential"), or by their nearest image and then by number ("uniform"). An image whose feature is the zero
vector is as similar to every other as to its opposite: s = 0. Where any number of classes may hold of an image, a
class's score is its share of the votes of those neighbours of which it is known whether it holds, 0 if of none. With
k < 5 only the first k classes are ranked, since the code counts its top-5 among min(5, k).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.predictions import Classes, Multilabel
from ssl_bench.protocols import base
from ssl_bench.solvers.neighbours import Neighbours, nearest

ROWS = 4096
"""Test samples whose votes are counted at a time: (ROWS, classes) float64."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """A vote among the nearest training images; nothing is trained."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("train", "test")
    deterministic: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    k: int = 20
    """Neighbours that vote in the headline."""
    also: tuple[int, ...] = (10, 100, 200)
    """Further values of k, read from the same search."""
    temperature: float = 0.07
    """T, in units of the similarity; unused by "uniform"."""
    distance: Literal["cosine", "euclidean"] = "cosine"
    """"cosine" compares directions; "euclidean" compares features as they are, with s = −½ ‖difference‖²."""
    weighting: Literal["exponential", "uniform"] = "exponential"
    """How much a neighbour's vote weighs."""

    def __post_init__(self) -> None:
        if min(self.k, *self.also, self.k) < 1:
            raise UsageError(f"knn: k and also must be 1 or more, not {self.k} and {self.also}")
        if not self.temperature > 0:
            raise UsageError(f"knn: temperature must be above 0, not {self.temperature}")

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise UsageError if train holds fewer than k samples."""
        if self.k > (bank := len(labels["train"])):
            raise UsageError(f"knn: k={self.k}, but train holds {bank} samples; ask for knn,k={bank} or less")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the vote at k and, as variants "k=10" and so on, at every other k that train is large enough for.

        Raises UsageError if train holds fewer than k samples.
        """
        bank, labels = trial.features("train"), trial.labels["train"]
        self.check(trial.labels, trial.classes)
        further = sorted({k for k in self.also if k != self.k})
        fitting = [k for k in further if k <= len(bank)]
        found = nearest(
            bank, trial.features("test"), max([self.k, *fitting]), distance=self.distance, device=trial.device
        )
        return base.Answer(
            self.vote(found, labels, self.k, trial),
            variants={f"k={k}": self.vote(found, labels, k, trial) for k in fitting},
            selected={"bank": len(bank), "left_out": [f"k={k}" for k in further if k > len(bank)]},
        )

    def vote(self, found: Neighbours, labels: base.IntArray, k: int, trial: base.Trial) -> Classes | Multilabel:
        """Return the classes by falling votes of the first k neighbours; confidence is the first class's share. Where
        any number of classes may hold, return each one's share."""
        if trial.has_many_labels:
            return self._shares(found, labels, k)
        parts = []
        for start in range(0, len(found.indices), ROWS):
            rows = slice(start, start + ROWS)
            parts.append(self._vote(found.similarities[rows, :k], labels[found.indices[rows, :k]], trial))
        ranked = np.concatenate([part.ranked for part in parts])[:, : min(5, k)]
        shares = [part.scores for part in parts if part.scores is not None]
        return Classes(
            ranked,
            np.concatenate([part.confidence for part in parts]),
            scores=np.concatenate(shares) if shares else None,
        )

    def _weights(self, similarities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each neighbour's vote weighs, like the similarities (samples, k); the nearest weighs 1."""
        if self.weighting == "uniform":
            return np.ones_like(similarities)
        weights: NDArray[np.float64] = np.exp((similarities - similarities[:, :1]) / self.temperature)
        return weights

    def _shares(self, found: Neighbours, labels: base.IntArray, k: int) -> Multilabel:
        """Return each class's share of the votes, labels being (bank, classes) of 1, 0 and -1."""
        holds, known = (labels == 1).astype(np.float64), (labels >= 0).astype(np.float64)
        scores = np.empty((len(found.indices), labels.shape[1]), dtype=np.float32)
        for start in range(0, len(scores), ROWS):
            rows = slice(start, start + ROWS)
            weights = self._weights(found.similarities[rows, :k])
            votes = np.zeros((len(weights), labels.shape[1]))
            asked = np.zeros_like(votes)
            for place in range(k):
                voters = found.indices[rows, place]
                votes += weights[:, place, None] * holds[voters]
                asked += weights[:, place, None] * known[voters]
            scores[rows] = np.divide(votes, asked, out=np.zeros_like(votes), where=asked > 0)
        return Multilabel(scores)

    def _vote(self, similarities: NDArray[np.float64], voters: base.IntArray, trial: base.Trial) -> Classes:
        """The same for some samples, given their neighbours' similarities and classes (samples, k)."""
        classes = trial.classes
        rows, k = np.arange(len(voters))[:, None], voters.shape[1]
        weights = self._weights(similarities)
        bins = (rows * classes + voters).ravel()
        votes = np.bincount(bins, weights.ravel(), minlength=len(voters) * classes).reshape(len(voters), classes)
        order = votes
        if self.weighting == "uniform":
            order = votes.copy()
            for place in reversed(range(k)):  # votes are whole numbers: a fraction settles ties alone
                order[rows[:, 0], voters[:, place]] = votes[rows[:, 0], voters[:, place]] + (k - place) / (k + 1)
        ranked = np.argsort(-order, axis=1, kind="stable")[:, :5].astype(np.int64)
        first = np.take_along_axis(votes, ranked[:, :1], axis=1)[:, 0]
        total = weights.sum(axis=1)
        scores = (votes / total[:, None]).astype(np.float32) if trial.every_score else None
        return Classes(ranked, (first / total).astype(np.float32), scores=scores)
