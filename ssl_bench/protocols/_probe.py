"""What the protocols that ask by logistic regression share: its recipe, the choice of C, and the fitted classifier."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes
from ssl_bench.protocols import _logistic, base
from ssl_bench.solvers import logistic


@dataclasses.dataclass(frozen=True)
class Probe(base.Protocol):
    """One linear map and a softmax, with an L2 penalty; see `logistic_regression`."""

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
            raise UsageError(f"{self._name}: c_steps must be 1 or more, and c_high no less than c_low")
        if not 0 < self.holdout < 1:
            raise UsageError(f"{self._name}: holdout must be between 0 and 1, not {self.holdout}")

    @property
    def _name(self) -> str:
        """The protocol's own name, for errors."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def grid(self) -> NDArray[np.float64]:
        """The candidates for C, ascending."""
        return 10 ** np.linspace(self.c_low, self.c_high, self.c_steps)

    def seed_matters(self, sizes: Mapping[str, int]) -> bool:
        """Return whether a part of train is drawn to choose C on."""
        return self.c_steps > 1 and "val" not in sizes

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise DataError if train holds one class alone."""
        if labels["train"].ndim == 1:
            _logistic.check(labels["train"])

    def fitted(self, trial: base.Trial) -> Fitted:
        """Return the classifier that is fitted to all labelled samples with the C that does best on val.

        Raises DataError if train holds one class alone, and UsageError if there is nothing to choose C on.
        """
        grid = self.grid
        curve, near = self.curve(trial, grid)
        best = int(np.argmax([row["val_top1"] for row in curve])) if curve else 0
        features, labels = _logistic.labelled(trial)
        model = _logistic.Model(features, labels, self.features == "standardized")
        fit = model.optimum(float(grid[best]), trial.device, near)
        ends = len(grid) > 1 and best in (0, len(grid) - 1)
        return Fitted(model, fit, trial.classes, curve, ends if curve else None, trial.every_score)

    def curve(
        self, trial: base.Trial, grid: NDArray[np.float64]
    ) -> tuple[tuple[dict[str, Any], ...], logistic.Solution | None]:
        """Return one row per C, fitted without val and scored on it, and the best fit; none for a grid of one C."""
        if len(grid) == 1:
            return (), None
        (features, labels), (val_features, val_labels) = self.parts(trial)
        model = _logistic.Model(features, labels, self.features == "standardized")

        def top1(fit: logistic.Solution) -> float:
            return float((model.scores(fit, val_features, trial.classes).argmax(axis=1) == val_labels).mean())

        return _logistic.curve(model.path(grid, trial.device), "val_top1", top1)

    def parts(self, trial: base.Trial) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        """Return (features, labels) to fit and (features, labels) to choose C on."""
        features, labels = trial.features("train"), trial.labels["train"]
        if trial.has_val:
            return (features, labels), (trial.features("val"), trial.labels["val"])
        kept, held = base.stratified_holdout(labels, self.holdout, trial.seed)
        if not len(held):
            raise UsageError(
                f"{self._name}: every class of train has one sample, so none can be held out to choose C; "
                f"fix C instead, for example {self._name},c_low=0,c_high=0,c_steps=1"
            )
        return (features[kept], labels[kept]), (features[held], labels[held])


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted classifier, and how it was chosen."""

    model: _logistic.Model
    solution: logistic.Solution
    classes: int
    curve: tuple[dict[str, Any], ...]
    at_grid_edge: bool | None
    every_score: bool = False
    """True: predictions keep the probability of every class."""

    @functools.cached_property
    def choice(self) -> Mapping[str, Any]:
        """What an answer says of the choice: the fields of `base.Answer` but the predictions."""
        fit = self.solution
        return {
            "selected": {"c": fit.c, "objective": fit.objective, "iterations": fit.iterations, "gap": fit.gap},
            "curve": self.curve,
            "converged": fit.converged and all(row["converged"] for row in self.curve),
            "at_grid_edge": self.at_grid_edge,
        }

    def predicted(self, features: NDArray[Any], among: tuple[int, ...] = ()) -> Classes:
        """Return the classes of features (samples, dim) by falling logit, with the softmax probability of the first.

        `among` are the only classes that may be answered; empty: all. Raises DataError if train has none of them.
        """
        scores = self.model.scores(self.solution, features, self.classes)
        if not among:
            return _logistic.predictions(scores, every=self.every_score)
        if not np.isin(among, self.model.present).any():
            raise DataError("none of the classes among which is to be answered has a training sample")
        within = _logistic.predictions(scores[:, among])
        return dataclasses.replace(within, ranked=np.asarray(among, dtype=np.int64)[within.ranked])
