"""Logistic regression with an L2 penalty: the optimum for every strength of a whole path.

    f_C(W, b) = ½‖W‖² + C Σ_i [ logsumexp_k(x_i·w_k + b_k) − (x_i·w_{y_i} + b_{y_i}) ]     (b is not penalised)

is the objective of scikit-learn's LogisticRegression for three classes and more. For two classes scikit-learn fits one
sigmoid of weights w and pays ½‖w‖²; the softmax has the same losses with ±w/2 and pays half as much, so its optimum at
C is scikit-learn's at 2C. Where any number of classes may hold of a sample, f is the sum of scikit-learn's objectives
for each class against the rest (see `sigmoid_loss`).

How it is solved. Newton's method runs from the strongest penalty to the weakest on centred and turned data (see
`linear_loss`) and starts each optimum from those before it, extrapolated in log C. Its directions come from conjugate
gradients in float32, preconditioned by the Hessian or its diagonal (see `preconditioner`); the objective and its
gradient are in float64, or in float32 where the tolerance is no finer than `SINGLE`.

When it stops. Any probabilities q, one distribution per sample, prove a bound on how far (W, b) is above the optimum
(W*, b*), by Fenchel's duality:

    f(W, b) − f*  ≤  ½‖W + C Xᵀ(Q − Y)‖² + C Σ_i KL(q_i ‖ p_i) + C ‖Σ_i (q_i − y_i)‖₁ · max|b − b*|

With q = p that is ½‖∂f/∂W‖² + ‖∂f/∂b‖₁ · max|b − b*|, which steep directions, of curvature C·n, make very loose. The q
that a Newton step foresees, q = p ∘ (1 + U − Σ_k P∘U) with the p and the D of the point that it leaves, is better: what
it leaves of the first and third terms at the new point is the residual of H·D = −∂f, and the second is of fourth order
in D. `gap` is the smaller of the two bounds, with max|b − b*| taken as 1. `converged` says that gap ≤ tolerance · f.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.solvers.linear_loss import Point, Problem, bound
from ssl_bench.solvers.preconditioner import Preconditioner
from ssl_bench.solvers.sigmoid_loss import Sigmoid
from ssl_bench.solvers.softmax_loss import Softmax
from ssl_bench.solvers.threads import enough_for

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-8
"""Where to stop: how far the objective may be above its optimum, as a fraction of itself."""
CHOOSING = 1e-4
"""The same where a strength is only to be chosen. What is proved is coarse: measured, it is below 1e-6."""
SINGLE = 1e-6
"""The finest tolerance that float32 has room for."""
NEWTON_STEPS = 100
"""At most this many per strength; two or three are usual."""
COARSE_STEPS = 2
"""After this many steps for one strength bfloat16 is seen not to tell the narrow directions of these data apart."""
UNMOVED = 1e-2
"""A start is taken as it is that is within the tolerance and, as far as can be foreseen, within this part of it: so
are, or better, the ends of steps, whose gaps are coarse."""
INNER_STEPS = 500
"""At most this many steps of conjugate gradients per Newton step."""
INNER_GAIN = 1e-3
"""A direction is good enough when it promises to shrink the gap by this factor, or to end at half the tolerance."""
HALVINGS = 30
ROUNDING = 10
"""Objectives are equal that differ by less than this many times a number's precision: a sum's order decides them."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The optimum for one strength."""

    c: float
    weights: NDArray[np.float64]  # (dim, classes)
    intercepts: NDArray[np.float64]  # (classes,); of mean zero where one class is right
    objective: float
    gap: float
    """The objective is at most this far above its optimum (see the module's docstring)."""
    iterations: int
    """Newton steps taken."""
    converged: bool

    def scores(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the logits (samples, classes) of features (samples, dim)."""
        scores: NDArray[np.float64] = features.astype(np.float64, copy=False) @ self.weights + self.intercepts
        return scores


def path(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    strengths: Iterable[float],
    *,
    device: str = "cpu",
    tolerance: float = TOLERANCE,
    near: Solution | None = None,
) -> Iterator[Solution]:
    """Yield the optimum for each of `strengths`, the values of C; give them in ascending order, for speed alone.

    `features` is (samples, dim) of any float type. `labels` is (samples,), and every class 0 … max has a sample; or it
    is (samples, classes), 1 where a class holds, 0 where not, and -1 where it does not learn from the sample. An
    objective is at most `tolerance` of itself above its optimum, or its solution says that it has not converged.
    `near` is where to start if it lies lower than no weights at all: the optimum for similar samples, perhaps. Memory
    is about 4 · 8 · samples · (dim + classes) bytes. Raises DataError if a feature is not finite, if there are
    fewer than two classes, if one between them is empty, or if one of several holds of none or of all.
    """
    import torch

    _check(features, labels)
    operations = 4.0 * len(features) * min(features.shape) * _classes(labels)
    with enough_for(operations):
        loss: type[Softmax | Sigmoid] = Softmax if labels.ndim == 1 else Sigmoid
        problem = loss(features, labels, device, torch.float32 if tolerance >= SINGLE else torch.float64)
        preconditioner = problem.preconditioner()
    known: list[tuple[float, Point]] = []
    for c in map(float, strengths):
        with enough_for(operations):
            if not known and near is None and tolerance < SINGLE:
                near = _approach(features, labels, c, device)
            starts = _starts(problem, known, c) if known else _first(problem, near)
            start = min(starts, key=lambda point: point.objective(c))
            optimum = _minimise(problem, preconditioner, start, c, tolerance)
        known = [*known[-2:], (c, optimum.point)]
        yield _solution(problem, optimum, c)


def _classes(labels: NDArray[np.int64]) -> int:
    return int(labels.max()) + 1 if labels.ndim == 1 else labels.shape[1]


def _check(features: NDArray[Any], labels: NDArray[np.int64]) -> None:
    if not np.isfinite(features).all():
        raise DataError("logistic regression needs finite features; one is NaN or infinite")
    if labels.ndim == 2:
        one_sided = ~((labels == 1).any(axis=0) & (labels == 0).any(axis=0))
        if one_sided.any():
            raise DataError(f"class {int(one_sided.argmax())} holds of none or of all samples: nothing tells it apart")
        return
    counts = np.bincount(labels)
    if (counts > 0).sum() < 2:
        raise DataError("logistic regression needs samples of two classes at least; there is only one class")
    if (counts == 0).any():
        raise DataError(f"class {int(np.argmin(counts))} has no sample; number the classes that have one 0, 1, …")


@dataclasses.dataclass(frozen=True, eq=False)
class _Optimum:
    point: Point
    gap: float
    steps: int
    converged: bool


def _solution(problem: Problem, optimum: _Optimum, c: float) -> Solution:
    weights, intercepts = problem.given(optimum.point)
    objective = optimum.point.objective(c)
    return Solution(c, weights, intercepts, objective, optimum.gap, optimum.steps, optimum.converged)


def _approach(features: NDArray[Any], labels: NDArray[np.int64], c: float, device: str) -> Solution | None:
    """Return about the optimum for `c`, come to from stronger penalties, a power of ten at a time."""
    rungs = [*10.0 ** np.arange(-6, math.log10(c)), c]
    return list(path(features, labels, rungs, device=device, tolerance=CHOOSING))[-1]


def _first(problem: Problem, near: Solution | None) -> list[Point]:
    """Return where to start the first strength from."""
    if near is None or near.weights.shape != (len(problem.basis), problem.classes):
        return [problem.origin()]
    return [problem.origin(), problem.at(near.weights, near.intercepts)]


def _starts(problem: Problem, known: Sequence[tuple[float, Point]], c: float) -> list[Point]:
    """Return where to start from: the last optimum, and the lines and parabolas in log C through the last ones.

    None is always best: a parabola foresees more and carries further what the optima before it were short of.
    """
    return [known[-1][1], *(_extrapolate(problem, known[-count:], c) for count in range(2, len(known) + 1))]


def _extrapolate(problem: Problem, known: Sequence[tuple[float, Point]], c: float) -> Point:
    """Return Lagrange's polynomial in log C through the known optima, at c."""
    import torch

    places = [math.log(place) for place, _ in known]
    theta, logits = torch.zeros_like(known[0][1].theta), torch.zeros_like(known[0][1].logits)
    for here, (_, point) in zip(places, known, strict=True):
        weight = math.prod((math.log(c) - other) / (here - other) for other in places if other != here)
        theta.add_(point.theta, alpha=weight)
        logits.add_(point.logits, alpha=weight)
    return problem.point(theta, logits)


def _minimise(problem: Problem, preconditioner: Preconditioner, point: Point, c: float, tolerance: float) -> _Optimum:
    """Return the optimum for one strength, by Newton's method with backtracking."""
    gap = math.inf
    for steps in range(NEWTON_STEPS + 1):
        goal = tolerance * point.objective(c)
        if gap > goal:
            gradient = problem.gradient(point, c)
            gap = min(gap, bound(gradient))
        if steps and (gap <= goal or steps == NEWTON_STEPS):
            break
        if steps == COARSE_STEPS:
            problem.steer_finely()
        curves = problem.curves(point)
        preconditioner.prepare(curves, c)
        if gap <= goal and _foreseen(preconditioner, gradient) <= UNMOVED * goal:
            break
        enough = max(min(goal, gap) / 2, INNER_GAIN * bound(gradient))
        direction = _direction(problem, preconditioner, curves, gradient, c, enough)
        better = _search(problem, point, direction, c, slope=float((gradient * direction).sum()))
        if better is None:
            break
        gap = problem.gap(point, better, c)
        point = better
    return _Optimum(point, gap, steps, gap <= goal)


def _foreseen(preconditioner: Preconditioner, gradient: Tensor) -> float:
    """Return about how far the objective is above its optimum, ½ ∂f·H⁻¹∂f."""
    scale = float(gradient.abs().max())
    steep = (gradient / max(scale, 1e-300)).float()
    return 0.5 * scale**2 * float((steep * preconditioner.solve(steep)).sum())


def _direction(
    problem: Problem, preconditioner: Preconditioner, curves: Tensor, gradient: Tensor, c: float, enough: float
) -> Tensor:
    """Return D with H·D ≈ −gradient, by preconditioned conjugate gradients from zero.

    It ends when what is left of the gradient bounds the objective by `enough`.
    """
    import torch

    scale = float(gradient.abs().max())  # float32 has room for the shape of a gradient, not for its size
    left = (gradient / -scale).float()
    direction = torch.zeros_like(left)
    conjugate = torch.zeros_like(left)
    energy = 1.0
    for _ in range(INNER_STEPS if problem.steering.dtype == torch.float32 else INNER_STEPS // 5):
        steep = preconditioner.solve(left)
        energy, before = float((left * steep).sum()), energy
        if energy <= 0:
            break
        conjugate.mul_(energy / before).add_(steep)
        curved = problem.curvature(curves, conjugate, c)
        bend = float((conjugate * curved).sum())
        if bend <= 0:
            break
        direction.add_(conjugate, alpha=energy / bend)
        left.sub_(curved, alpha=energy / bend)
        if bound(left * scale) <= enough:
            break
    return problem.centred(direction.to(gradient.dtype).mul_(scale))


def _search(problem: Problem, point: Point, direction: Tensor, c: float, slope: float) -> Point | None:
    """Return the first point of a halving search that is lower by Armijo's rule, or None if no step is."""
    import torch

    start, move = point.objective(c), direction @ problem.x
    rounding = ROUNDING * torch.finfo(move.dtype).eps
    for halving in range(HALVINGS):
        step = 0.5**halving
        trial = problem.point(point.theta + step * direction, point.logits + step * move)
        if trial.objective(c) <= start + 1e-4 * step * slope + rounding * start:
            return trial
    return None
