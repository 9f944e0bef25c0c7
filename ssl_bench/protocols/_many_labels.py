"""Logistic regression where any number of classes may hold of an image: one class against the rest, one C for all.

As linusericsson/ssl-transfer (linear.py) does for VOC2007, after Kornblith et al., CVPR 2019: every C of the grid is
fitted class by class on train, the one with the best mean average precision on val wins, of equal ones the smallest,
and is fitted once more on train and val. The average precision is the task's own, of eleven points for VOC2007.
(VISSL's and Barlow Twins' figures on VOC2007 are of linear SVMs, another question.) An image of which it is too hard to
say whether it shows a class is left out of that class alone, in fitting, choosing and scoring; ssl-transfer takes it
for one that does not.

A class that holds of none or of all images that are fitted cannot be told apart: it gets the score 0 for every image.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Multilabel, Truth
from ssl_bench.protocols import _logistic, base
from ssl_bench.solvers import logistic

Labelled = tuple[NDArray[Any], base.IntArray]
"""Features (samples, dim) and labels (samples, classes)."""


class Model(_logistic.Standardised):
    """Samples of any number of classes, over those that can be told apart on them."""

    def __init__(self, features: NDArray[Any], labels: base.IntArray, standardise: bool) -> None:
        """Raises DataError if no class can be."""
        self.classes = labels.shape[1]
        self.learnt = np.flatnonzero((labels == 1).any(axis=0) & (labels == 0).any(axis=0))
        if not len(self.learnt):
            raise DataError("logistic regression needs a class that holds of some training samples and not of others")
        super().__init__(features, labels[:, self.learnt], standardise)

    def scores(self, fit: logistic.Solution, features: NDArray[Any]) -> base.FloatArray:
        """Return the logits (samples, classes) of features as they were extracted; 0 for a class that is not learnt."""
        scores = np.zeros((len(features), self.classes), dtype=np.float32)
        scores[:, self.learnt] = fit.scores(self.standard(features))
        return scores


@dataclasses.dataclass(frozen=True)
class Choice:
    """The recipe, in the words of `_probe.Probe`."""

    name: str
    standardise: bool
    grid: NDArray[np.float64]
    holdout: float

    def answer(self, trial: base.Trial) -> base.Answer:
        """Return every class's logit for every test sample.

        Raises DataError if no class holds of some training samples and not of others, UsageError if there is nothing to
        choose C on.
        """
        curve, near = self._curve(trial)
        best = int(np.argmax([row["val_map"] for row in curve])) if curve else 0
        model = Model(*_logistic.labelled(trial), self.standardise)
        fit = model.optimum(float(self.grid[best]), trial.device, near)
        unlearnt = sorted(set(range(trial.classes)) - set(model.learnt.tolist()))
        return base.Answer(
            Multilabel(model.scores(fit, trial.features("test"))),
            selected={
                "c": fit.c,
                "objective": fit.objective,
                "iterations": fit.iterations,
                "selected_by": trial.metric,
                "not_learnt": unlearnt,
            },
            curve=curve,
            converged=fit.converged and all(row["converged"] for row in curve),
            at_grid_edge=best in (0, len(self.grid) - 1) if curve else None,
        )

    def _curve(self, trial: base.Trial) -> tuple[tuple[dict[str, Any], ...], logistic.Solution | None]:
        """Return one row per C, fitted without val and scored on it, and the best fit; none where there is one C."""
        if len(self.grid) == 1:
            return (), None
        (features, labels), (val_features, val_labels) = self._parts(trial)
        model, truth = Model(features, labels, self.standardise), Truth({"test": val_labels}, trial.classes)
        metric = metrics.get(trial.metric)

        def average_precision(fit: logistic.Solution) -> float:
            return metric.score(Multilabel(model.scores(fit, val_features)), truth)[0]

        return _logistic.curve(model.path(self.grid, trial.device), "val_map", average_precision)

    def _parts(self, trial: base.Trial) -> tuple[Labelled, Labelled]:
        """Return what to fit and what to choose C on: val, or a random part of train."""
        features, labels = trial.features("train"), trial.labels["train"]
        if trial.has_val:
            return (features, labels), (trial.features("val"), trial.labels["val"])
        order, count = np.random.default_rng(trial.seed).permutation(len(labels)), round(self.holdout * len(labels))
        if not 0 < count < len(labels):
            raise UsageError(
                f"{self.name}: train has {len(labels)} samples, so none can be held out to choose C; "
                f"fix C instead, for example {self.name},c_low=0,c_high=0,c_steps=1"
            )
        held, kept = np.sort(order[:count]), np.sort(order[count:])
        return (features[kept], labels[kept]), (features[held], labels[held])
