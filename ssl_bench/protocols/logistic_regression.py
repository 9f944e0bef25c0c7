"""Logistic regression on frozen features, its penalty chosen on validation data, solved to the optimum.

    minimise  ½‖W‖² + C Σ_i cross-entropy_i            for C = 10^linspace(c_low, c_high, c_steps)

The grid and the order of work are those of DINOv2's and DINOv3's eval/log_regression.py: fit every C on train, take the
one with the best top-1 on val (on equal ones the smallest C, the strongest penalty), fit it once more on train and val,
and look at test once. A task without val gives up a stratified tenth of train for the choice.

Unlike theirs, features are standardised by default: with a mean and a deviation from the data that are fitted, so the
same C means as much for every backbone. "raw" leaves them as they are.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.protocols import _logistic, base
from ssl_bench.solvers import logistic


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """One linear map and a softmax, with an L2 penalty."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    """The seed draws the held-out samples where a task has no val."""

    features: Literal["standardized", "raw"] = "standardized"
    """"standardized" gives every feature mean 0 and deviation 1 on the samples that are fitted."""
    c_low: float = -6.0
    """log10 of the strongest penalty's C."""
    c_high: float = 5.0
    """log10 of the weakest penalty's C."""
    c_steps: int = 45
    """Candidates, evenly spaced in log C; 1 fixes C at 10^c_low, and val has nothing to choose."""
    holdout: float = 0.1
    """Fraction of every class held out of train to choose C, where the task has no val."""

    def __post_init__(self) -> None:
        if self.c_steps < 1 or self.c_high < self.c_low:
            raise UsageError("logistic_regression: c_steps must be 1 or more, and c_high no less than c_low")
        if not 0 < self.holdout < 1:
            raise UsageError(f"logistic_regression: holdout must be between 0 and 1, not {self.holdout}")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the classes by falling logit; confidence is the softmax probability of the first.

        Classes without a training sample come last, by number. Raises DataError if train holds one class alone, and
        UsageError if there is nothing to choose C on.
        """
        grid = 10 ** np.linspace(self.c_low, self.c_high, self.c_steps)
        curve = self.curve(trial, grid)
        best = int(np.argmax([row["val_top1"] for row in curve])) if curve else 0
        features, labels = _labelled(trial)
        model = _logistic.Model(features, labels, self.features == "standardized")
        fit = next(iter(model.path(grid[[best]], trial.device)))
        ends = len(grid) > 1 and best in (0, len(grid) - 1)
        return base.Answer(
            _logistic.predictions(model.scores(fit, trial.features("test"), trial.classes), every=trial.every_score),
            selected={"c": fit.c, "objective": fit.objective, "iterations": fit.iterations, "gap": fit.gap},
            curve=curve,
            converged=fit.converged and all(row["converged"] for row in curve),
            at_grid_edge=ends if curve else None,
        )

    def curve(self, trial: base.Trial, grid: NDArray[np.float64]) -> tuple[dict[str, Any], ...]:
        """Return one row per C, fitted without val and scored on it; none where the grid has one C."""
        if len(grid) == 1:
            return ()
        (features, labels), (val_features, val_labels) = self.parts(trial)
        model = _logistic.Model(features, labels, self.features == "standardized")
        rows = []
        for fit in model.path(grid, trial.device, logistic.CHOOSING):
            right = model.scores(fit, val_features, trial.classes).argmax(axis=1) == val_labels
            rows.append(
                {
                    "c": fit.c,
                    "val_top1": float(right.mean()),
                    "objective": fit.objective,
                    "iterations": fit.iterations,
                    "converged": fit.converged,
                }
            )
        return tuple(rows)

    def parts(self, trial: base.Trial) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Return (features, labels) to fit and (features, labels) to choose C on."""
        features, labels = trial.features("train"), trial.labels["train"]
        if trial.has_val:
            return (features, labels), (trial.features("val"), trial.labels["val"])
        kept, held = base.stratified_holdout(labels, self.holdout, trial.seed)
        if not len(held):
            raise UsageError(
                "logistic_regression: every class of train has one sample, so none can be held out to choose C; "
                "fix C instead, for example logistic_regression,c_low=0,c_high=0,c_steps=1"
            )
        return (features[kept], labels[kept]), (features[held], labels[held])


def _labelled(trial: base.Trial) -> tuple[NDArray[Any], base.IntArray]:
    """Return all features and labels that may be learnt from: train, and val where the task has one."""
    splits = ("train", "val") if trial.has_val else ("train",)
    features = [trial.features(split) for split in splits]
    return np.concatenate(features), np.concatenate([trial.labels[split] for split in splits])
