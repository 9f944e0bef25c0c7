"""What a protocol sees (a Trial, which holds no test label) and what it returns (an Answer)."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes, Multilabel, Predictions
from ssl_bench.protocols._supply import FloatArray as FloatArray
from ssl_bench.protocols._supply import IntArray as IntArray
from ssl_bench.protocols._supply import Made as Made
from ssl_bench.protocols._supply import Prepare as Prepare
from ssl_bench.protocols._supply import Supply as Supply
from ssl_bench.targets import Targets

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.backbones.base import Backbone
    from ssl_bench.features import Rows
    from ssl_bench.images import Augmentation
    from ssl_bench.progress import Advance

LATER: Mapping[str, Any] = {"later": True}
"""Metadata of a recipe's field that came after records were published: at its default it is no part of the recipe, so
that what was asked before keeps its identity."""


@dataclasses.dataclass(frozen=True, eq=False)
class Answer:
    """What a protocol returns for one trial."""

    predictions: Predictions
    """The headline."""
    variants: Mapping[str, Predictions] = dataclasses.field(default_factory=dict)
    """Further readings of the same trial, such as other values of k; scored and recorded, never ranked."""
    candidates: Mapping[str, Predictions] = dataclasses.field(default_factory=dict)
    """Where the protocol `selects_on_test`: the readings of which scoring puts the best in the headline's place."""
    selected: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Hyper-parameters chosen on validation data, and what else a reader needs to judge the choice."""
    curve: tuple[Mapping[str, Any], ...] = ()
    """The validation curve: one row per candidate."""
    converged: bool | None = None
    at_grid_edge: bool | None = None
    cost: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """What the protocol measured of its own cost, by the names of `results.parts.Cost`."""


@dataclasses.dataclass(frozen=True)
class Passes:
    """What a recipe passes through the network, for a plan."""

    kept: Mapping[str, tuple[str, ...]]
    """View of the images, or "dense" for their maps, to the splits that are read so; each passes once and is kept."""
    crops: int = 0
    """Random crops, and images that a changed network sees, which pass every time anew."""
    trained: int = 0
    """Images that pass forwards and backwards."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """All that a protocol may look at. Labels of the test split are not in it."""

    classes: int
    """Labels are 0 … classes - 1."""
    seed: int
    sizes: Mapping[str, int]
    """Samples per split: "train", "test", "val" where the task has one, and its shifts."""
    labels: Mapping[str, IntArray]
    """Labels of "train" and, where the task has one, "val"; never of "test". They are (samples,), or (samples, classes)
    where any number of classes may hold: 1 holds, 0 does not, -1 is too hard to say."""
    supply: Supply
    """Use `features` and its siblings."""
    targets: Mapping[str, Targets] = dataclasses.field(default_factory=dict)
    """For tasks that ask of an image's parts: masks, depths or objects of "train" and, where the task has one, "val";
    never of "test"."""
    informative: bool = True
    """False where the backbone says nothing of its images; see `Protocol.answer`."""
    device: str = "cpu"
    """Where heavy arithmetic may run."""
    class_names: tuple[str, ...] = ()
    """In words, by label; empty where the dataset names none."""
    prompts: tuple[str, ...] = ()
    """Templates for texts of a class, with {} for its name; empty where the task has none of its own."""
    every_score: bool = False
    """True where the task's metric needs the scores of all classes; see `Classes.scores`."""
    backbone: Backbone | None = None
    """The network, for protocols that feed it images of their own; None where the features came without one."""
    shifts: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """Further test sets, splits of `features`, and among which classes each is to be answered; empty: among all."""
    metric: str = ""
    """The task's headline, for a choice on val that is made by it."""
    pooled: str = "default"
    """The pooling that the job asks for, for protocols that take several unless one is named."""
    precision: str = "float32"
    """Of the arithmetic inside the network, for protocols that feed it."""
    at_once: int = 0
    """Images per forward pass of training; 0: as many as are usual for the device."""
    compile: bool = False
    """True: compile what is trained."""
    state: Path | None = None
    """Folder of what long work keeps to go on from; it is removed once the job's record is written."""
    choice: Path | None = None
    """File of what seed 0 chose, for all seeds of the job."""

    def __post_init__(self) -> None:
        if (set(self.labels) | set(self.targets)) - {"train", "val"}:
            raise ValueError("a trial must not hold test labels")

    @property
    def has_val(self) -> bool:
        return "val" in self.labels

    @property
    def has_many_labels(self) -> bool:
        """True where any number of classes may hold of an image."""
        return self.labels["train"].ndim == 2

    def reseeded(self, seed: int) -> Trial:
        """Return this trial under another seed."""
        return dataclasses.replace(self, seed=seed, supply=self.supply.reseeded(seed))

    def features(
        self, split: str, *, pooling: str = "", view: str = "", positions: IntArray | None = None
    ) -> FloatArray:
        """Return the pooled features (samples, dim), float32, of "train", "val" or "test".

        `pooling` is another than the one that the job asks for; `view` is a change of every image: "rot90", "rot180"
        or "rot270", turned anticlockwise after the resize, or "crop0" to "crop9", a random part that is the same
        whenever the image is met; `positions` are the only samples wanted.
        Raises DataError if a feature is not finite.
        """
        self._check(split)
        features = (
            self.supply.features(split, pooling, view)
            if positions is None
            else self.supply.some(split, pooling, view, positions)
        )
        if not np.isfinite(features).all():
            bad = int((~np.isfinite(features)).any(axis=1).sum())
            raise DataError(f"{bad} of {len(features)} features of the {split} split are NaN or infinite")
        return features

    def dense(self, split: str, size: tuple[int, int] | None = None) -> Rows:
        """Return the maps of a split: index with positions to get (positions, dim, height, width), float16.

        They are kept, as features are. `size` has every image squashed to this height and width instead of what the
        model's input says.
        """
        self._check(split)
        return self.supply.dense(split, size)

    def prepared(
        self, split: str, prepare: Prepare[Made], order: IntArray, places: IntArray | None = None
    ) -> Iterator[Made]:
        """Give what `prepare` makes of each image at `order`, positions in the split, in that order.

        It is called, in threads and ahead of time, with the whole image (height, width, 3), RGB, or (height, width) for
        a model of grey ones; its target, or None of a test image; and a generator that depends on the trial's seed, the
        place in `places` (those in `order`, if None) and the sample alone, however many threads there are.
        """
        self._check(split)
        return self.supply.prepared(split, prepare, order, places)

    def batches(
        self,
        split: str,
        augmentation: Augmentation | None,
        order: IntArray,
        size: int | Sequence[int],
        places: IntArray | None = None,
    ) -> Iterator[Tensor]:
        """Give the images at `order`, positions in the split, augmented and normalised, in batches on the device.

        The same seed, split, augmentation and order give the same images, whatever `size` and however many workers.
        `augmentation` None gives the images as they are evaluated; several sizes are those of the batches in turn;
        `places` number the draws, where they are not those in `order`.
        """
        self._check(split)
        return self.supply.batches(split, augmentation, order, size, places)

    def track(self, what: str, total: int, unit: str = "steps") -> contextlib.AbstractContextManager[Advance]:
        """Show the progress of long work; see `Supply.track`."""
        return self.supply.track(what, total, unit)

    def _check(self, split: str) -> None:
        if split not in self.sizes:
            raise UsageError(f"this task has no split {split!r}; it has {', '.join(self.sizes)}")


@dataclasses.dataclass(frozen=True)
class Protocol(abc.ABC):
    """One published way of asking. Its fields are its recipe; `version` rises when a number would.

    A protocol's module holds exactly one subclass, called `Protocol` too.
    """

    version: ClassVar[int]
    deterministic: ClassVar[bool]
    """True: the seed changes nothing, whatever the recipe and the task, so one seed is enough."""
    seeds: ClassVar[tuple[int, ...]] = (0,)
    """Those that are run where a user names none."""
    metric: ClassVar[str] = ""
    """The headline, where it is not the task's own metric."""
    kinds: ClassVar[tuple[str, ...]] = ("classification",)
    """Kinds of task that can be asked so."""
    reads: ClassVar[tuple[str, ...]] = ()
    """Splits whose images it looks at; empty: all that the task has."""
    trains: ClassVar[bool] = False
    """True: the network itself is trained, so that a model without one cannot be asked. All processes of a job take
    part in that; what else such a protocol does, and all that others do, is the first process's alone."""
    reads_words: ClassVar[bool] = False
    """True: the class names and prompts of the task's card are part of the question."""

    @property
    def selects_on_test(self) -> bool:
        """True for a recipe that reports the best of several candidates on the very samples that are reported."""
        return False

    def seed_matters(self, sizes: Mapping[str, int]) -> bool:
        """Return whether the seed changes anything for splits of these sizes; the record says so."""
        return not self.deterministic

    def passes(self, sizes: Mapping[str, int]) -> Passes:
        """Return what passes the network for splits of these sizes."""
        return Passes({"": tuple(name for name in sizes if name in self.reads or not self.reads)})

    def check(self, labels: Mapping[str, IntArray], classes: int) -> None:
        """Raise the error that `predict` would raise for splits of these labels, as far as they tell.

        The harness calls it before anything is extracted; it alone knows the labels of "test".
        """
        return

    @property
    def subsets(self) -> tuple[str, ...]:
        """Names of the published subsets of train that the recipe learns from; see `ssl_bench.subsets`."""
        return ()

    @abc.abstractmethod
    def predict(self, trial: Trial) -> Answer:
        """Fit on train (and select on val), then predict every test sample."""

    def answer(self, trial: Trial) -> Answer:
        """Return `predict(trial)`, or the prior of train where the backbone says nothing of its images."""
        return self.predict(trial) if trial.informative else self.uninformed(trial)

    def uninformed(self, trial: Trial) -> Answer:
        """Return what can be said without looking at an image."""
        return prior(trial)


def prior(trial: Trial) -> Answer:
    """Return the classes of train from the most to the least frequent, for every test sample: what no feature can beat
    by chance alone. Ties go to the lower class. Where any number of classes may hold, each one's share of train is its
    score."""
    if trial.has_many_labels:
        labels = trial.labels["train"]
        shares = (labels == 1).sum(axis=0) / np.maximum((labels >= 0).sum(axis=0), 1)
        return Answer(Multilabel(np.tile(shares.astype(np.float32), (trial.sizes["test"], 1))))
    counts = np.bincount(trial.labels["train"], minlength=trial.classes)
    ranked = np.argsort(-counts, kind="stable")[:5]
    samples = trial.sizes["test"]
    shares = (counts / max(counts.sum(), 1)).astype(np.float32)
    scores = np.tile(shares, (samples, 1)) if trial.every_score else None
    confidence = np.full(samples, shares.max(), dtype=np.float32)
    return Answer(Classes(np.tile(ranked, (samples, 1)).astype(np.int64), confidence, scores=scores))


def top_classes(
    scores: NDArray[np.floating[Any]], most: int = 5, *, probability: bool = False, every: bool = False
) -> Classes:
    """Return the predictions for class scores (samples, classes); ties go to the lower class.

    `probability` says that scores are; `every` keeps all of them, where a trial asks for that.
    """
    ranked = np.argsort(-scores, axis=1, kind="stable")[:, :most].astype(np.int64)
    confidence = np.take_along_axis(scores, ranked[:, :1], axis=1)[:, 0].astype(np.float32)
    return Classes(ranked, confidence, probability, scores.astype(np.float32) if every else None)


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
