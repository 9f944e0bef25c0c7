"""Logistic regression as protocols ask for it: features standardised by what is fitted, classes without a sample last,
and C chosen by cross-validation within the few labels that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes
from ssl_bench.protocols import base
from ssl_bench.solvers import logistic


class Standardised:
    """The samples to fit, standardised by themselves."""

    def __init__(self, features: NDArray[Any], labels: base.IntArray, standardise: bool) -> None:
        """`labels` are as `solvers.logistic` takes them."""
        self.labels = labels
        self.mean, self.deviation = moments(features) if standardise else (np.zeros(1), np.ones(1))
        self.features = self.standard(features)

    def standard(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return features (samples, dim) in the units of the fit."""
        result: NDArray[np.float64] = (features.astype(np.float64) - self.mean) / self.deviation
        return result

    def path(self, grid: NDArray[np.float64], device: str) -> Iterator[logistic.Solution]:
        """Yield the optimum for every C of `grid`, near enough to choose one."""
        return logistic.path(self.features, self.labels, grid, device=device, tolerance=logistic.CHOOSING)

    def optimum(self, c: float, device: str, near: logistic.Solution | None = None) -> logistic.Solution:
        """Return the optimum for one C; `near` is that of similar samples, if one is known."""
        return next(logistic.path(self.features, self.labels, [c], device=device, near=near))


class Model(Standardised):
    """Samples of one class each, over the classes that have a sample."""

    def __init__(self, features: NDArray[Any], labels: base.IntArray, standardise: bool) -> None:
        """Raises DataError if all samples are of one class."""
        check(labels)
        self.present, numbered = np.unique(labels, return_inverse=True)
        super().__init__(features, numbered, standardise)

    def scores(self, fit: logistic.Solution, features: NDArray[Any], classes: int) -> NDArray[np.float64]:
        """Return the logits (samples, classes) of features as they were extracted; −∞ for a class without a sample."""
        scores = np.full((len(features), classes), -np.inf)
        scores[:, self.present] = fit.scores(self.standard(features))
        return scores


def curve(
    fits: Iterable[logistic.Solution], criterion: str, score: Callable[[logistic.Solution], float]
) -> tuple[tuple[dict[str, Any], ...], logistic.Solution]:
    """Return one row per fit, with its score under the criterion's name, and the first of the best fits.

    The objectives of the rows have float32's precision, about 1e-5 of themselves.
    """
    rows: list[dict[str, Any]] = []
    for fit in fits:
        value = score(fit)
        if not rows or value > max(row[criterion] for row in rows):
            best = fit
        rows.append(
            {
                "c": fit.c,
                criterion: value,
                "objective": fit.objective,
                "iterations": fit.iterations,
                "converged": fit.converged,
            }
        )
    return tuple(rows), best


def labelled(trial: base.Trial) -> tuple[NDArray[Any], base.IntArray]:
    """Return all features and labels that may be learnt from: train, and val where the task has one."""
    splits = ("train", "val") if trial.has_val else ("train",)
    features = [trial.features(split) for split in splits]
    return np.concatenate(features), np.concatenate([trial.labels[split] for split in splits])


def check(labels: base.IntArray) -> None:
    """Raise DataError if there is no sample, or if all are of one class."""
    present = np.unique(labels)
    if not len(present):
        raise DataError("logistic regression needs samples of two classes; there is none")
    if len(present) < 2:
        raise DataError(f"logistic regression needs two classes; every sample is of class {present[0]}")


def moments(features: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation (dim,); the deviation of a constant feature counts as 1.

    A feature is constant if its variance is no more than what rounding leaves, as in scikit-learn's StandardScaler.
    """
    exact = features.astype(np.float64)
    mean, variance = exact.mean(axis=0), exact.var(axis=0)
    rounding = np.finfo(np.float64).eps * len(features)
    constant = variance <= rounding * variance + (rounding * mean) ** 2
    return mean, np.where(constant, 1.0, np.sqrt(variance))


def predictions(logits: NDArray[np.float64], *, every: bool = False) -> Classes:
    """Return the classes by falling logit, with the softmax probability of the first; `every` keeps all of them."""
    ranked = base.top_classes(logits).ranked
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    total = shares.sum(axis=1)
    scores = (shares / total[:, None]).astype(np.float32) if every else None
    return Classes(ranked, (1 / total).astype(np.float32), probability=True, scores=scores)


@dataclasses.dataclass(frozen=True, eq=False)
class Fitted:
    """The predictions for test of a fit on a part of train, and how its C was come by."""

    predictions: Classes
    c: float
    curve: tuple[dict[str, Any], ...]
    """One row per C; none where there was nothing to choose on."""
    converged: bool
    at_grid_edge: bool | None


@dataclasses.dataclass(frozen=True)
class FewLabels(base.Protocol):
    """The recipe of a fit on a part of train that chooses its C by cross-validation within that part."""

    features: Literal["standardized", "raw"] = "standardized"
    """"standardized" gives every feature mean 0 and deviation 1 on the samples that are fitted."""
    c_low: float = -4.0
    """log10 of the strongest penalty's C."""
    c_high: float = 3.0
    """log10 of the weakest penalty's C."""
    c_steps: int = 8
    """Candidates, evenly spaced in log C; 1 fixes C at 10^c_low."""
    folds: int = 5
    """Parts that are held out in turn; no more than the largest class has images."""
    fallback_c: float = 1.0
    """C where every class has one image, which leaves nothing to hold out."""

    def __post_init__(self) -> None:
        name = type(self).__module__.rpartition(".")[2]
        if self.c_steps < 1 or self.c_high < self.c_low:
            raise UsageError(f"{name}: c_steps must be 1 or more, and c_high no less than c_low")
        if self.folds < 2 or not self.fallback_c > 0:
            raise UsageError(f"{name}: folds must be 2 or more, and fallback_c above 0")

    @property
    def grid(self) -> NDArray[np.float64]:
        """The candidates for C, ascending."""
        return 10 ** np.linspace(self.c_low, self.c_high, self.c_steps)

    def fit(self, trial: base.Trial, positions: base.IntArray, *, on_val: bool = False) -> Fitted:
        """Return what a fit on `positions` of train says of test; `on_val` chooses C on all of val instead.

        The largest share of right answers wins, on equal ones the smallest C.
        """
        features, labels = trial.features("train")[positions], trial.labels["train"][positions]
        rounds = [(features, labels, trial.features("val"), trial.labels["val"])] if on_val else []
        if not on_val and len(self.grid) > 1:
            fold_of = folds(labels, self.folds, trial.seed)
            for fold in range(fold_of.max() + 1):
                kept, held = fold_of != fold, fold_of == fold
                rounds.append((features[kept], labels[kept], features[held], labels[held]))
        curve, near = self._curve(rounds, trial)
        best = int(np.argmax([row["top1"] for row in curve])) if curve else 0
        c = curve[best]["c"] if curve else (float(self.grid[0]) if len(self.grid) == 1 else self.fallback_c)
        model = Model(features, labels, self.features == "standardized")
        fit = model.optimum(c, trial.device, near[best] if near else None)
        logits = model.scores(fit, trial.features("test"), trial.classes)
        return Fitted(
            predictions(logits, every=trial.every_score),
            c=c,
            curve=curve,
            converged=fit.converged and all(row["converged"] for row in curve),
            at_grid_edge=best in (0, len(self.grid) - 1) if curve else None,
        )

    def _curve(
        self, rounds: list[tuple[Any, ...]], trial: base.Trial
    ) -> tuple[tuple[dict[str, Any], ...], list[logistic.Solution]]:
        """Return one row per C, right answers of all rounds (features, labels, held features, held labels), and the
        fits of the last round."""
        if not rounds or len(self.grid) == 1:
            return (), []
        right, asked, converged = np.zeros(len(self.grid)), 0, np.ones(len(self.grid), dtype=bool)
        for features, labels, held, truth in rounds:
            model = Model(features, labels, self.features == "standardized")
            asked += len(truth)
            fits = list(model.path(self.grid, trial.device))
            for place, fit in enumerate(fits):
                right[place] += (model.scores(fit, held, trial.classes).argmax(axis=1) == truth).sum()
                converged[place] &= fit.converged
        rows = tuple(
            {"c": c, "top1": float(right[place] / asked), "converged": bool(converged[place])}
            for place, c in enumerate(self.grid.tolist())
        )
        return rows, fits


def folds(labels: base.IntArray, count: int, seed: int) -> base.IntArray:
    """Return the fold of each sample (samples,), 0 … count - 1 at most, or -1 for one that is never held out.

    Every class is dealt out one by one in an order that `seed` draws, a class where the last one stopped, so that folds
    are of equal size and no class lacks a sample outside a fold. A class with one sample is never held out.
    """
    generator = np.random.default_rng(seed)
    sizes = np.bincount(labels)
    count = min(count, int(sizes.max()))
    fold_of, dealt = np.full(len(labels), -1, dtype=np.int64), 0
    for label in np.flatnonzero(sizes > 1):
        members = generator.permutation(np.flatnonzero(labels == label))
        fold_of[members] = (dealt + np.arange(len(members))) % count
        dealt += len(members)
    return fold_of
