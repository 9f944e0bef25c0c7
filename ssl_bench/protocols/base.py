"""What a protocol sees (a Trial, which holds no test label) and what it returns (an Answer)."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What was predicted for every test sample, in the split's order."""

    ranked: IntArray  # (samples, up to 5): classes, best first
    confidence: FloatArray  # (samples,): score of the first class, in the protocol's own unit


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What a protocol returns for one trial."""

    predictions: Predictions
    """The headline."""
    variants: Mapping[str, Predictions] = dataclasses.field(default_factory=dict)
    """Further readings of the same trial, such as other values of k; scored and recorded, never ranked."""
    selected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Hyper-parameters chosen on validation data, and what else a reader needs to judge the choice."""
    curve: tuple[Mapping[str, Any], ...] = ()
    """The validation curve: one row per candidate."""
    converged: bool | None = None
    at_grid_edge: bool | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """All that a protocol may look at. Labels of the test split are not in it."""

    classes: int
    """Labels are 0 … classes - 1."""
    seed: int
    sizes: Mapping[str, int]
    """Samples per split: "train", "test" and, where the task has one, "val"."""
    labels: Mapping[str, IntArray]
    """Labels of "train" and, where the task has one, "val"; never of "test"."""
    load_features: Callable[[str], FloatArray]
    """Gives the pooled features (samples, dim) of a split; use `features`."""
    informative: bool = True
    """False where the backbone says nothing of its images; see `Protocol.answer`."""
    device: str = "cpu"
    """Where heavy arithmetic may run."""

    def __post_init__(self) -> None:
        if "test" in self.labels:
            raise ValueError("a trial must not hold test labels")

    @property
    def has_val(self) -> bool:
        return "val" in self.labels

    def features(self, split: str) -> FloatArray:
        """Return the pooled features (samples, dim), float32, of "train", "val" or "test".

        Raises DataError if one is not finite.
        """
        if split not in self.sizes:
            raise UsageError(f"this task has no split {split!r}; it has {', '.join(self.sizes)}")
        features = self.load_features(split)
        if not np.isfinite(features).all():
            bad = int((~np.isfinite(features)).any(axis=1).sum())
            raise DataError(f"{bad} of {len(features)} features of the {split} split are NaN or infinite")
        return features


@dataclasses.dataclass(frozen=True)
class Protocol(abc.ABC):
    """One published way of asking. Its fields are its recipe; `version` rises when a number would.

    A protocol's module holds exactly one subclass, called `Protocol` too.
    """

    version: ClassVar[int]
    deterministic: ClassVar[bool]
    """True: the seed changes nothing, so one seed is enough."""

    @abc.abstractmethod
    def predict(self, trial: Trial) -> Answer:
        """Fit on train (and select on val), then predict every test sample."""

    def answer(self, trial: Trial) -> Answer:
        """Return `predict(trial)`, or the prior of train where the backbone says nothing of its images."""
        return self.predict(trial) if trial.informative else prior(trial)


def prior(trial: Trial) -> Answer:
    """Return the classes of train from the most to the least frequent, for every test sample: what no feature can beat
    by chance alone. Ties go to the lower class."""
    counts = np.bincount(trial.labels["train"], minlength=trial.classes)
    ranked = np.argsort(-counts, kind="stable")[:5]
    samples = trial.sizes["test"]
    confidence = np.full(samples, counts.max() / max(counts.sum(), 1), dtype=np.float32)
    return Answer(Predictions(np.tile(ranked, (samples, 1)).astype(np.int64), confidence))


def top_classes(scores: NDArray[np.floating[Any]], most: int = 5) -> Predictions:
    """Return the predictions for class scores (samples, classes); ties go to the lower class."""
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :most].astype(np.int64)
    confidence = np.take_along_axis(scores, ranked[:, :1], axis=1)[:, 0].astype(np.float32)
    return Predictions(ranked, confidence)


def stratified_holdout(labels: IntArray, fraction: float, seed: int) -> tuple[IntArray, IntArray]:
    """Return positions (kept, held out), sorted: a rounded `fraction` of every class, at least one of two.

    A class with one sample stays whole in `kept`. The draw is NumPy's PCG64 seeded with `seed`, class by class.
    """
    generator = np.random.default_rng(seed)
    held: list[IntArray] = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        count = min(max(1, round(fraction * len(members))), len(members) - 1)
        held.append(generator.permutation(members)[:count])
    out = np.sort(np.concatenate(held)).astype(np.int64)
    return np.setdiff1d(np.arange(len(labels)), out).astype(np.int64), out
