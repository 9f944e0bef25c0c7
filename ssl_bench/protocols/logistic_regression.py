"""Logistic regression on frozen features, its penalty chosen on validation data, solved to the optimum.

    minimise  ½‖W‖² + C Σ_i cross-entropy_i            for C = 10^linspace(c_low, c_high, c_steps)

The grid and the order of work are those of DINOv2's and DINOv3's eval/log_regression.py: fit every C on train, take the
one with the best top-1 on val (on equal ones the smallest C, the strongest penalty), fit it once more on train and val,
and look at test once. A task without val gives up a stratified tenth of train for the choice.

Unlike theirs, features are standardised by default: with a mean and a deviation from the data that are fitted, so the
same C means as much for every backbone. "raw" leaves them as they are.

Where any number of classes may hold of an image, each is told from the rest, and C is chosen by the task's mean average
precision; see `_many_labels`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ssl_bench.protocols import _many_labels, base
from ssl_bench.protocols._probe import Probe


@dataclasses.dataclass(frozen=True)
class Protocol(Probe):
    """One linear map and a softmax, with an L2 penalty."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the held-out samples where a task has no val."""
    kinds: ClassVar[tuple[str, ...]] = ("classification", "multilabel")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit; confidence is the softmax probability of the first. Where any number of
        classes may hold, return the logit of each.

        Classes without a training sample come last, by number. Raises DataError if train holds one class alone, and
        UsageError if there is nothing to choose C on.
        """
        if trial.has_many_labels:
            choice = _many_labels.Choice(self._name, self.features == "standardized", self.grid, self.holdout)
            return choice.answer(trial)
        fitted = self.fitted(trial)
        return base.Answer(fitted.predicted(trial.features("test")), **fitted.choice)
