"""Few-shot ridge: a linear map onto ±1 from a few images of every class, in closed form.

The recipe of google-research/big_vision evaluators/fewshot_lsr.py with configs/common_fewshot.py: supports of 1, 5, 10
and 25 images per class drawn from train by seeds 0, 1 and 2, features standardised by the support itself, a constant
feature for the bias, and one penalty, 2^10, for every number of shots; 10 shots are the headline. That code can solve
for many penalties, but has nothing to choose one on other than the images that it reports on; it fixes it, and so do
we. Neither val nor the rest of train is looked at. See `solvers.ridge` for the mathematics.

The published code takes what there is where a class has fewer images than shots; here that is refused, since such a
support is not balanced.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from ssl_bench.errors import UsageError
from ssl_bench.predictions import Classes
from ssl_bench.protocols import _supports, base
from ssl_bench.solvers import ridge


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Least squares with an L2 penalty on a balanced support."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("train", "test")
    deterministic: ClassVar[bool] = False
    """The seed draws the support."""
    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2)

    shots: int = 10
    """Images per class in the headline."""
    also: tuple[int, ...] = (1, 5, 25)
    """Further numbers of shots; a smaller support is part of a larger one."""
    l2: float = 1024.0
    """The penalty λ on the weights of standardised features."""

    def __post_init__(self) -> None:
        if min(self.shots, *self.also, self.shots) < 1:
            raise UsageError(f"few_shot_ridge: shots and also must be 1 or more, not {self.shots} and {self.also}")
        if not self.l2 > 0:
            raise UsageError(f"few_shot_ridge: l2 must be above 0, not {self.l2}")

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise what `predict` raises where a class of train has too few images."""
        _supports.fitting(_supports.shuffled(labels["train"], classes, 0), self.shots, (), "few_shot_ridge")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling score at `shots` and, as variants "shots=1" and so on, at every other number
        that each class of train has images for. Confidence is the first class's score, near ±1.

        Raises UsageError if a class of train has fewer than `shots` images, DataError if one has none.
        """
        members = _supports.shuffled(trial.labels["train"], trial.classes, trial.seed)
        further, left_out = _supports.fitting(members, self.shots, self.also, "few_shot_ridge")
        support = _supports.balanced(members, self.shots)
        return base.Answer(
            self._fit(trial, support),
            variants={f"shots={n}": self._fit(trial, _supports.balanced(members, n)) for n in further},
            selected={"support": _supports.digest(support), "left_out": [f"shots={n}" for n in left_out]},
        )

    def _fit(self, trial: base.Trial, support: base.IntArray) -> Classes:
        features, labels = trial.features("train")[support], trial.labels["train"][support]
        fit = next(ridge.path(features, labels, trial.classes, [self.l2]))
        return base.top_classes(np.asarray(fit.scores(trial.features("test"))), every=trial.every_score)
