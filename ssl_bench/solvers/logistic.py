"""Multinomial logistic regression with an L2 penalty: the optimum for every strength of a whole path.

    f_C(W, b) = ½‖W‖² + C Σ_i [ logsumexp_k(x_i·w_k + b_k) − (x_i·w_{y_i} + b_{y_i}) ]     (b is not penalised)

is the objective of scikit-learn's LogisticRegression for three classes and more. For two classes scikit-learn fits one
sigmoid of weights w and pays ½‖w‖²; the softmax has the same losses with ±w/2 and pays half as much, so its optimum at
C is scikit-learn's at 2C.

How it is solved. Centring x, and turning it by an orthogonal V, changes neither f nor its optimum. So x is centred,
reduced to n columns by a QR factorisation where it has more, and turned into the eigenvectors of XᵀX. Newton's method
runs from the strongest penalty to the weakest and starts each optimum from those before it, extrapolated in log C. Its
directions come from conjugate gradients with

    H·D = D + C Xᵀ [ P ∘ (U − Σ_k P∘U) ],     U = X D − (X D)_y        (U is 0 at the label: no digits cancel)

in float32, preconditioned by the Hessian or its diagonal (see `preconditioner`); the objective and its gradient are in
float64.

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
from ssl_bench.solvers.preconditioner import Preconditioner

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-8
"""Where to stop: how far the objective may be above its optimum, as a fraction of itself."""
CHOOSING = 1e-6
"""The same where a strength is only to be chosen: half the work, and a hundredth of what is visible in accuracies."""
NEWTON_STEPS = 100
"""At most this many per strength; two or three are usual."""
INNER_STEPS = 500
"""At most this many steps of conjugate gradients per Newton step."""
INNER_GAIN = 1e-3
"""A direction is good enough when it promises to shrink the gap by this factor, or to end at half the tolerance."""
HALVINGS = 30
SLICE = 1 << 21
"""Samples are taken at a time that have about this many features: for both products with them they stay in cache."""
ROUNDING = 1e-12
"""Objectives that differ by less than this fraction are equal: their last digits are those of a sum's order."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The optimum for one strength."""

    c: float
    weights: NDArray[np.float64]  # (dim, classes)
    intercepts: NDArray[np.float64]  # (classes,), of mean zero
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
) -> Iterator[Solution]:
    """Yield the optimum for each of `strengths`, the values of C; give them in ascending order, for speed alone.

    `features` is (samples, dim) of any float type; `labels` is (samples,), and every class 0 … max has a sample. An
    objective is at most `tolerance` of itself above its optimum, or its solution says that it has not converged.
    Memory is about 4 · 8 · samples · (dim + classes) bytes. Raises DataError if there are fewer than two classes, if
    one between them is empty, or if a feature is not finite.
    """
    _check(features, labels)
    problem = _Problem(features, labels, device)
    known: list[tuple[float, _Point]] = []
    for c in map(float, strengths):
        start = min(_starts(problem, known, c), key=lambda point: point.objective(c))
        optimum = _minimise(problem, start, c, tolerance)
        known = [*known[-2:], (c, optimum.point)]
        yield problem.solution(optimum, c)


def _check(features: NDArray[Any], labels: NDArray[np.int64]) -> None:
    counts = np.bincount(labels)
    if (counts > 0).sum() < 2:
        raise DataError("logistic regression needs samples of two classes at least; there is only one class")
    if (counts == 0).any():
        raise DataError(f"class {int(np.argmin(counts))} has no sample; number the classes that have one 0, 1, …")
    if not np.isfinite(features).all():
        raise DataError("logistic regression needs finite features; one is NaN or infinite")


@dataclasses.dataclass(frozen=True, eq=False)
class _Point:
    """A candidate and what the data say of it. Everything is class by class, which the small products like best."""

    theta: Tensor  # (classes, columns + 1): the turned weights, and last the intercept
    logits: Tensor  # (classes, samples)
    probabilities: Tensor  # (classes, samples)
    loss: float  # Σ_i cross-entropy
    penalty: float  # ½‖W‖²

    def objective(self, c: float) -> float:
        return self.penalty + c * self.loss


@dataclasses.dataclass(frozen=True, eq=False)
class _Optimum:
    point: _Point
    gap: float
    steps: int
    converged: bool


class _Problem:
    """The data, centred and turned, with a row of ones for the intercept; and f, its gradient and its curvature."""

    def __init__(self, features: NDArray[Any], labels: NDArray[np.int64], device: str) -> None:
        import torch

        x = torch.as_tensor(np.require(features, np.float64, "W"), device=device)
        self.mean = x.mean(0)
        x = x - self.mean
        self.basis = _eigenvectors(x)  # (dim, columns)
        self.x = torch.cat([(x @ self.basis).T, x.new_ones(1, len(x))]).contiguous()  # (columns + 1, samples)
        self.x32 = self.x.float()
        self.preconditioner = Preconditioner(self.x32, int(labels.max()) + 1)
        self.labels = torch.as_tensor(np.require(labels, np.int64, "W"), device=device)[None, :]  # (1, samples)
        self.penalised = x.new_ones(len(self.x))
        self.penalised[-1] = 0
        self.penalised32 = self.penalised.float()
        size = max(1, SLICE // (len(self.x) + int(labels.max()) + 1))
        self.slices = [slice(start, start + size) for start in range(0, len(labels), size)]

    def origin(self) -> _Point:
        """Return the optimum for C → 0: no weights, and intercepts that give the frequencies of the classes."""
        import torch

        counts = torch.bincount(self.labels[0]).double()
        theta = self.x.new_zeros(len(counts), len(self.x))
        theta[:, -1] = (counts / counts.sum()).log()
        return self.point(theta, theta @ self.x)

    def point(self, theta: Tensor, logits: Tensor) -> _Point:
        """Return the point, with its loss Σ_i [log(1 + Σ_{k≠top} e^{z_k − z_top}) + z_top − z_y]: exact when tiny."""
        import torch

        probabilities, loss = torch.empty_like(logits), 0.0
        for some in self.slices:
            top, where = logits[:, some].max(0, keepdim=True)
            shares = torch.sub(logits[:, some], top, out=probabilities[:, some]).exp_()
            rest = shares.scatter(0, where, 0.0).sum(0, keepdim=True)
            loss += float((rest.log1p() + (top - logits[:, some].gather(0, self.labels[:, some]))).sum())
            shares.div_(rest.add_(1))
        return _Point(theta, logits, probabilities, loss, 0.5 * float(theta[:, :-1].square().sum()))

    def gradient(self, point: _Point, c: float) -> Tensor:
        """Return ∂f/∂(W, b) = (W, 0) + C (P − Y) Xᵀ, (classes, columns + 1)."""
        gradient = self.penalised * point.theta
        for some in self.slices:
            self._add_residual(gradient, point.probabilities[:, some], some, c)
        return gradient

    def gap(self, point: _Point, better: _Point, c: float) -> float:
        """Return the bound on f − f* at `better` that the probabilities that `point` foresees for it prove."""
        residual, divergence = self.penalised * better.theta, 0.0
        for some in self.slices:
            p, q = better.probabilities[:, some], _linearised(point, better, some)
            divergence += float((q.xlogy(q / p.clamp(min=1e-300)) - q + p).sum())
            self._add_residual(residual, q, some, c)
        return _bound(residual) + c * divergence

    def _add_residual(self, total: Tensor, q: Tensor, some: slice, c: float) -> None:
        """Add C (Q − Y) Xᵀ of some samples, (classes, columns + 1)."""
        labels = self.labels[:, some]
        total.addmm_(q.scatter_add(0, labels, -q.new_ones(labels.shape)), self.x[:, some].T, alpha=c)

    def curvature(self, p: Tensor, d: Tensor, c: float) -> Tensor:
        """Return H·d, (classes, columns + 1), float32."""
        found = self.penalised32 * d
        for some in self.slices:
            u = d @ self.x32[:, some]
            u -= u.gather(0, self.labels[:, some])
            u *= p[:, some]
            u.addcmul_(p[:, some], u.sum(0, keepdim=True), value=-1)
            found.addmm_(u, self.x32[:, some].T, alpha=c)
        return found

    def solution(self, optimum: _Optimum, c: float) -> Solution:
        """Return the optimum in the coordinates of the features as they were given."""
        point = optimum.point
        weights = (point.theta[:, :-1] @ self.basis.T).T
        intercepts = point.theta[:, -1] - self.mean @ weights
        return Solution(
            c=c,
            weights=weights.cpu().numpy(),
            intercepts=(intercepts - intercepts.mean()).cpu().numpy(),
            objective=point.objective(c),
            gap=optimum.gap,
            iterations=optimum.steps,
            converged=optimum.converged,
        )


def _eigenvectors(x: Tensor) -> Tensor:
    """Return an orthonormal basis (dim, rank) of the rows of x in which XᵀX is diagonal.

    Directions whose variance is no more than rounding are left out: the penalty alone moves their weights, to 0.
    """
    import torch

    if x.shape[1] > x.shape[0]:
        rows: Tensor = torch.linalg.qr(x.T).Q
        return rows @ _eigenvectors(x @ rows)
    values, vectors = torch.linalg.eigh(x.T @ x)
    filled: Tensor = vectors[:, values > 16 * torch.finfo(values.dtype).eps * values[-1]]
    return filled if filled.shape[1] else vectors[:, -1:]


def _starts(problem: _Problem, known: Sequence[tuple[float, _Point]], c: float) -> list[_Point]:
    """Return where to start from: the last optimum, and the lines and parabolas in log C through the last ones."""
    if not known:
        return [problem.origin()]
    return [known[-1][1], *(_extrapolate(problem, known[-count:], c) for count in range(2, len(known) + 1))]


def _extrapolate(problem: _Problem, known: Sequence[tuple[float, _Point]], c: float) -> _Point:
    """Return Lagrange's polynomial in log C through the known optima, at c."""
    import torch

    places = [math.log(place) for place, _ in known]
    theta, logits = torch.zeros_like(known[0][1].theta), torch.zeros_like(known[0][1].logits)
    for here, (_, point) in zip(places, known, strict=True):
        weight = math.prod((math.log(c) - other) / (here - other) for other in places if other != here)
        theta.add_(point.theta, alpha=weight)
        logits.add_(point.logits, alpha=weight)
    return problem.point(theta, logits)


def _minimise(problem: _Problem, point: _Point, c: float, tolerance: float) -> _Optimum:
    """Return the optimum for one strength, by Newton's method with backtracking."""
    gap = math.inf
    for steps in range(NEWTON_STEPS + 1):
        goal = tolerance * point.objective(c)
        if gap > goal:
            gradient = problem.gradient(point, c)
            gap = min(gap, _bound(gradient))
        if gap <= goal or steps == NEWTON_STEPS:
            break
        direction = _direction(problem, point, gradient, c, enough=max(goal / 2, INNER_GAIN * _bound(gradient)))
        better = _search(problem, point, direction, c, slope=float((gradient * direction).sum()))
        if better is None:
            break
        gap = problem.gap(point, better, c)
        point = better
    return _Optimum(point, gap, steps, gap <= goal)


def _linearised(point: _Point, better: _Point, some: slice) -> Tensor:
    """Return the probabilities (classes, some) that `point` foresees for `better` by its first derivatives."""
    p = point.probabilities[:, some]
    moves = better.logits[:, some] - point.logits[:, some]
    moves -= (p * moves).sum(0, keepdim=True)
    foreseen = moves.add_(1).clamp_(min=0).mul_(p)
    return foreseen.div_(foreseen.sum(0, keepdim=True))


def _bound(gradient: Tensor) -> float:
    """Return ½‖∂f/∂W‖² + ‖∂f/∂b‖₁."""
    return 0.5 * float(gradient[:, :-1].square().sum()) + float(gradient[:, -1].abs().sum())


def _direction(problem: _Problem, point: _Point, gradient: Tensor, c: float, enough: float) -> Tensor:
    """Return D with H·D ≈ −gradient, by preconditioned conjugate gradients from zero.

    It ends when what is left of the gradient bounds the objective by `enough`.
    """
    import torch

    scale = float(gradient.abs().max())  # float32 has room for the shape of a gradient, not for its size
    p = point.probabilities.float()
    problem.preconditioner.prepare(p, c)
    left = (gradient / -scale).float()
    direction = torch.zeros_like(left)
    conjugate = torch.zeros_like(left)
    energy = 1.0
    for _ in range(INNER_STEPS):
        steep = problem.preconditioner.solve(left)
        energy, before = float((left * steep).sum()), energy
        conjugate.mul_(energy / before).add_(steep)
        curved = problem.curvature(p, conjugate, c)
        bend = float((conjugate * curved).sum())
        if bend <= 0:
            break
        direction.add_(conjugate, alpha=energy / bend)
        left.sub_(curved, alpha=energy / bend)
        if _bound(left.double() * scale) <= enough:
            break
    found = direction.double().mul_(scale)
    return found.sub_(found.mean(0))  # what all classes share moves no probability, and the penalty wants it 0


def _search(problem: _Problem, point: _Point, direction: Tensor, c: float, slope: float) -> _Point | None:
    """Return the first point of a halving search that is lower by Armijo's rule, or None if no step is."""
    start, move = point.objective(c), direction @ problem.x
    for halving in range(HALVINGS):
        step = 0.5**halving
        trial = problem.point(point.theta + step * direction, point.logits + step * move)
        if trial.objective(c) <= start + 1e-4 * step * slope + ROUNDING * start:
            return trial
    return None
