"""Few-shot logistic regression: a linear map and a softmax, fitted to a few images of every class.

The supports are those of few_shot_ridge: 1, 5, 10 and 25 images per class drawn from train by seeds 0, 1 and 2. Neither
val nor the rest of train is looked at.

Peers differ in the penalty. RFS fixes C = 1; DINOv3's eval/log_regression.py holds out a part of the support;
CLIP_benchmark searches on val where a dataset has one, however large. Here C is chosen by cross-validation within the
support, and on equal shares of right answers the smallest C wins. One shot leaves nothing to hold out: C = 1 then, on
standardised features. c_steps=1 fixes C at 10^c_low for every number of shots. The choice costs
forty fits per number of shots: with ten classes seconds on one core, with 101 classes of ten images up to minutes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

from ssl_bench.errors import UsageError
from ssl_bench.protocols import _supports, base
from ssl_bench.protocols._logistic import FewLabels


@dataclasses.dataclass(frozen=True)
class Protocol(FewLabels):
    """Logistic regression with an L2 penalty on a balanced support."""

    version: ClassVar[int] = 1
    reads: ClassVar[tuple[str, ...]] = ("train", "test")
    deterministic: ClassVar[bool] = False
    """The seed draws the support and its folds."""
    seeds: ClassVar[tuple[int, ...]] = (0, 1, 2)

    shots: int = 10
    """Images per class in the headline."""
    also: tuple[int, ...] = (1, 5, 25)
    """Further numbers of shots; a smaller support is part of a larger one."""

    def __post_init__(self) -> None:
        if min(self.shots, *self.also, self.shots) < 1:
            raise UsageError(f"few_shot_logistic: shots and also must be 1 or more, not {self.shots} and {self.also}")
        super().__post_init__()

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise what `predict` raises where a class of train has too few images."""
        _supports.fitting(_supports.shuffled(labels["train"], classes, 0), self.shots, (), "few_shot_logistic")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit at `shots` and, as variants "shots=1" and so on, at every other number
        that each class of train has images for. Confidence is the softmax probability of the first class.

        Raises UsageError if a class of train has fewer than `shots` images, DataError if one has none.
        """
        members = _supports.shuffled(trial.labels["train"], trial.classes, trial.seed)
        further, left_out = _supports.fitting(members, self.shots, self.also, "few_shot_logistic")
        found = {n: self.fit(trial, _supports.balanced(members, n)) for n in sorted({self.shots, *further})}
        headline = found[self.shots]
        return base.Answer(
            headline.predictions,
            variants={f"shots={n}": found[n].predictions for n in further},
            selected={
                "c": headline.c,
                "further_c": {f"shots={n}": found[n].c for n in further},
                "support": _supports.digest(_supports.balanced(members, self.shots)),
                "left_out": [f"shots={n}" for n in left_out],
            },
            curve=headline.curve,
            converged=all(fit.converged for fit in found.values()),
            at_grid_edge=headline.at_grid_edge,
        )
