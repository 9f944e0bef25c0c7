"""Many small logistic regressions at once: the same sizes and the same C, other samples, such as few-shot episodes.

    f(W, b) = ½‖W‖² + C Σ_i cross-entropy_i        for every problem by itself; b is not penalised

is the objective of `solvers.logistic`, whose docstring says how it relates to scikit-learn's. A problem has far fewer
samples than features, so it is centred and reduced to as many columns as it has samples, X = X̃ Qᵀ by QR, which changes
neither f nor its optimum. Newton's method with conjugate gradients and halved steps then runs on all problems together,
in float64, each with its own step lengths; those that have arrived stand still. A problem has arrived when

    f − f*  ≤  ½‖∂f/∂W‖² + ‖∂f/∂b‖₁ · max|b − b*|  ≤  TOLERANCE · f        (with max|b − b*| taken as 1)
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-12
"""How far an objective may be above its optimum, as a fraction of itself: weights are then right to about 1e-6."""
NEWTON_STEPS = 100
INNER_STEPS = 300
INNER_GAIN = 1e-3
"""A direction is good enough when it leaves this fraction of the gradient."""
HALVINGS = 30
ROUNDING = 1e-13
"""Objectives that differ by less than this fraction are equal."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The optima."""

    weights: Tensor  # (problems, dim, classes)
    intercepts: Tensor  # (problems, classes)
    objective: Tensor  # (problems,)
    converged: Tensor  # (problems,), bool

    def scores(self, features: Tensor) -> Tensor:
        """Return the logits (problems, samples, classes) of features (problems, samples, dim)."""
        return features @ self.weights + self.intercepts[:, None]


def solve(features: Tensor, labels: Tensor, classes: int, c: float) -> Solution:
    """Return the optimum of every problem.

    `features` is (problems, samples, dim), float64 and finite; `labels` is (problems, samples), 0 … classes - 1.
    Memory is about 10 · 8 · problems · samples · (samples + classes) bytes besides the features.
    """
    import torch

    mean = features.mean(1, keepdim=True)
    x = features - mean
    basis = torch.linalg.qr(x.transpose(1, 2)).Q if x.shape[2] > x.shape[1] else None  # (problems, dim, samples)
    problem = _Problems(x if basis is None else x @ basis, labels, classes, c)
    theta, objective, converged = _minimise(problem)
    weights = theta[:, :-1] if basis is None else basis @ theta[:, :-1]
    intercepts = theta[:, -1] - (mean @ weights)[:, 0]
    return Solution(weights, intercepts - intercepts.mean(1, keepdim=True), objective, converged)


class _Problems:
    """The reduced data with a column of ones for the intercept; f, its gradient and its curvature, by problem."""

    def __init__(self, x: Tensor, labels: Tensor, classes: int, c: float) -> None:
        import torch

        self.x = torch.cat([x, x.new_ones(*x.shape[:2], 1)], dim=2)  # (problems, samples, columns + 1)
        self.targets = torch.nn.functional.one_hot(labels, classes).to(x.dtype)  # (problems, samples, classes)
        self.penalised = x.new_ones(self.x.shape[2], 1)
        self.penalised[-1] = 0
        self.c = c

    def start(self) -> Tensor:
        """Return θ of zeros, (problems, columns + 1, classes): the weights, and last the intercepts."""
        return self.x.new_zeros(len(self.x), self.x.shape[2], self.targets.shape[2])

    def objective(self, theta: Tensor, logits: Tensor) -> Tensor:
        """Return f (problems,)."""
        losses = logits.logsumexp(2) - (logits * self.targets).sum(2)
        return 0.5 * theta[:, :-1].square().sum((1, 2)) + self.c * losses.sum(1)

    def gradient(self, theta: Tensor, p: Tensor) -> Tensor:
        """Return ∂f/∂θ, like θ."""
        return self.penalised * theta + self.c * self.x.transpose(1, 2) @ (p - self.targets)

    def curvature(self, p: Tensor, d: Tensor) -> Tensor:
        """Return H·d, like θ."""
        u = p * (self.x @ d)
        u = u - p * u.sum(2, keepdim=True)
        return self.penalised * d + self.c * self.x.transpose(1, 2) @ u


def _minimise(problem: _Problems) -> tuple[Tensor, Tensor, Tensor]:
    """Return θ, f and whether each problem has arrived."""
    theta = problem.start()
    logits = problem.x @ theta
    objective = problem.objective(theta, logits)
    for step in range(NEWTON_STEPS + 1):
        p = logits.softmax(2)
        gradient = problem.gradient(theta, p)
        bound = 0.5 * gradient[:, :-1].square().sum((1, 2)) + gradient[:, -1].abs().sum(1)
        arrived = bound <= TOLERANCE * objective
        if bool(arrived.all()) or step == NEWTON_STEPS:
            break
        direction = _direction(problem, p, gradient) * ~arrived[:, None, None]
        length = _length(problem, theta, logits, objective, direction, (gradient * direction).sum((1, 2)))
        if not bool(length.any()):
            break
        theta = theta + length[:, None, None] * direction
        logits = problem.x @ theta
        objective = problem.objective(theta, logits)
    return theta, objective, arrived


def _direction(problem: _Problems, p: Tensor, gradient: Tensor) -> Tensor:
    """Return D with H·D ≈ −gradient, by conjugate gradients from zero, each problem until it is good enough."""
    left = -gradient
    conjugate, direction = left, left.new_zeros(left.shape)
    energy = left.square().sum((1, 2))
    enough = INNER_GAIN**2 * energy
    for _ in range(INNER_STEPS):
        going = energy > enough
        if not bool(going.any()):
            break
        curved = problem.curvature(p, conjugate)
        bend = (conjugate * curved).sum((1, 2))
        rate = (energy / bend).where(going & (bend > 0), 0.0)[:, None, None]
        direction = direction + rate * conjugate
        left = left - rate * curved
        before, energy = energy, left.square().sum((1, 2))
        conjugate = left + (energy / before).where(going, 0.0)[:, None, None] * conjugate
    return direction


def _length(
    problem: _Problems, theta: Tensor, logits: Tensor, objective: Tensor, direction: Tensor, slope: Tensor
) -> Tensor:
    """Return the first of 1, ½, ¼, … (problems,) that lowers f by Armijo's rule, or 0 where none does."""
    import torch

    move = problem.x @ direction
    found = torch.zeros_like(objective)
    for halving in range(HALVINGS):
        step = 0.5**halving
        trial = problem.objective(theta + step * direction, logits + step * move)
        lower = trial <= objective + 1e-4 * step * slope + ROUNDING * objective
        found = found.where((found > 0) | ~lower, step)
        if bool((found > 0).all()):
            break
    return found
