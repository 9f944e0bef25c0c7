"""Logistic regression for classes of which any number may hold: one against the rest, all classes at once.

    f_k(w, b) = ½‖w‖² + C Σ_i m_ik [ log(1 + e^{z_ik}) − y_ik z_ik ],    z_ik = x_i·w + b,    for each class k by itself

is the objective of scikit-learn's LogisticRegression on two classes, with m_ik = 0 for a sample of which it is not
known whether class k holds; b is not penalised.

The classes share the samples, so that each step of Newton's method is a few products of all samples with all classes.
The samples are centred and turned into the eigenvectors of XᵀX, which changes neither f nor its optimum, and there the
Hessian is near its diagonal, 1 + C Σ_i s_ik x_ij² with s = m p (1 − p), which preconditions the conjugate gradients.
These are in float32, the objective and its gradient in float64. A class has arrived when

    f − f*  ≤  ½‖∂f/∂w‖² + |∂f/∂b| · |b − b*|  ≤  tolerance · f        (with |b − b*| taken as 1)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

TOLERANCE = 1e-8
"""How far an objective may be above its optimum, as a fraction of itself."""
NEWTON_STEPS = 100
INNER_STEPS = 300
INNER_GAIN = 1e-2
"""A direction is good enough when it leaves this fraction of the gradient."""
HALVINGS = 30
ROUNDING = 1e-13
"""Objectives that differ by less than this fraction are equal."""


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """The optima for one strength."""

    c: float
    weights: NDArray[np.float64]  # (dim, classes)
    intercepts: NDArray[np.float64]  # (classes,)
    objective: NDArray[np.float64]  # (classes,)
    iterations: int
    """Newton steps taken until the last class arrived."""
    converged: bool
    """True where every class arrived."""

    def scores(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Return the logits (samples, classes) of features (samples, dim)."""
        scores: NDArray[np.float64] = features.astype(np.float64, copy=False) @ self.weights + self.intercepts
        return scores


def path(
    features: NDArray[Any],
    holds: NDArray[np.int64],
    strengths: Iterable[float],
    *,
    device: str = "cpu",
    tolerance: float = TOLERANCE,
) -> Iterator[Solution]:
    """Yield the optima for each of `strengths`, the values of C; give them in ascending order, for speed alone.

    `features` is (samples, dim); `holds` is (samples, classes): 1, 0, or -1 for samples that a class does not learn
    from. Raises DataError if a feature is not finite, or if a class holds of none or of all of the others.
    """
    if not np.isfinite(features).all():
        raise DataError("logistic regression needs finite features; one is NaN or infinite")
    one_sided = ~(((holds == 1).any(axis=0)) & ((holds == 0).any(axis=0)))
    if one_sided.any():
        raise DataError(f"class {int(one_sided.argmax())} holds of none or of all samples, so nothing tells it apart")
    problem = _Problem(features, holds, device)
    theta = problem.start()
    for c in map(float, strengths):
        theta, objective, steps, arrived = _minimise(problem, theta, c, tolerance)
        yield problem.solution(theta, objective, steps, arrived, c)


class _Problem:
    """The samples, centred and turned, with a column of ones; f, its gradient and its curvature, class by class."""

    def __init__(self, features: NDArray[Any], holds: NDArray[np.int64], device: str) -> None:
        import torch

        x = torch.as_tensor(np.require(features, np.float64, "W"), device=device)
        self.mean = x.mean(0)
        x = x - self.mean
        self.basis = torch.linalg.svd(x, full_matrices=False).Vh.T  # (dim, columns)
        self.x = torch.cat([x @ self.basis, x.new_ones(len(x), 1)], dim=1)  # (samples, columns + 1)
        self.x32 = self.x.float()
        self.squares = self.x32.square()
        known = torch.as_tensor(np.require(holds, np.int64, "W"), device=device)
        self.counts, self.targets = (known >= 0).to(x.dtype), (known == 1).to(x.dtype)  # (samples, classes)
        self.penalised = x.new_ones(self.x.shape[1], 1)
        self.penalised[-1] = 0

    def start(self) -> Tensor:
        """Return θ (columns + 1, classes) for C → 0: no weights, and intercepts that give each class's frequency."""
        positive = self.targets.sum(0)
        theta = self.x.new_zeros(self.x.shape[1], self.targets.shape[1])
        theta[-1] = (positive / (self.counts.sum(0) - positive)).log()
        return theta

    def objective(self, theta: Tensor, logits: Tensor, c: float) -> Tensor:
        """Return f (classes,)."""
        import torch

        losses = torch.nn.functional.softplus(logits) - self.targets * logits
        return 0.5 * theta[:-1].square().sum(0) + c * (self.counts * losses).sum(0)

    def gradient(self, theta: Tensor, p: Tensor, c: float) -> Tensor:
        """Return ∂f/∂θ, like θ."""
        return self.penalised * theta + c * (self.x.T @ (self.counts * (p - self.targets)))

    def solution(self, theta: Tensor, objective: Tensor, steps: int, arrived: Tensor, c: float) -> Solution:
        """Return the optima in the coordinates of the features as they were given."""
        weights = self.basis @ theta[:-1]
        intercepts = theta[-1] - self.mean @ weights
        return Solution(
            c=c,
            weights=weights.cpu().numpy(),
            intercepts=intercepts.cpu().numpy(),
            objective=objective.cpu().numpy(),
            iterations=steps,
            converged=bool(arrived.all()),
        )


def _minimise(problem: _Problem, theta: Tensor, c: float, tolerance: float) -> tuple[Tensor, Tensor, int, Tensor]:
    """Return θ, f, the steps that were taken and whether each class has arrived."""
    logits = problem.x @ theta
    objective = problem.objective(theta, logits, c)
    for step in range(NEWTON_STEPS + 1):
        p = logits.sigmoid()
        gradient = problem.gradient(theta, p, c)
        arrived = 0.5 * gradient[:-1].square().sum(0) + gradient[-1].abs() <= tolerance * objective
        if bool(arrived.all()) or step == NEWTON_STEPS:
            break
        direction = _direction(problem, p, gradient, c, ~arrived)
        move = problem.x @ direction
        length = _length(problem, theta, logits, direction, move, objective, (gradient * direction).sum(0), c)
        if not bool(length.any()):
            break
        theta, logits = theta + length * direction, logits + length * move
        objective = problem.objective(theta, logits, c)
    return theta, objective, step, arrived


def _direction(problem: _Problem, p: Tensor, gradient: Tensor, c: float, wanted: Tensor) -> Tensor:
    """Return D with H·D ≈ −gradient by preconditioned conjugate gradients, 0 for the classes that are not `wanted`."""
    import torch

    scale = gradient.abs().amax(0).clamp(min=1e-300)[wanted]  # float32 has room for a gradient's shape, not its size
    curve = (problem.counts * p * (1 - p))[:, wanted].float()
    penalised = problem.penalised.float()
    diagonal = penalised + c * (problem.squares.T @ curve)
    left = (gradient[:, wanted] / -scale).float()
    conjugate = steep = left / diagonal
    direction = torch.zeros_like(left)
    energy = (left * steep).sum(0)
    enough = INNER_GAIN**2 * energy
    for _ in range(INNER_STEPS):
        going = energy > enough
        if not bool(going.any()):
            break
        curved = penalised * conjugate + c * (problem.x32.T @ (curve * (problem.x32 @ conjugate)))
        bend = (conjugate * curved).sum(0)
        rate = (energy / bend).where(going & (bend > 0), 0.0)
        direction, left = direction + rate * conjugate, left - rate * curved
        steep = left / diagonal
        before, energy = energy, (left * steep).sum(0)
        conjugate = steep + (energy / before).where(going, 0.0) * conjugate
    found = torch.zeros_like(gradient)
    found[:, wanted] = direction.double() * scale
    return found


def _length(
    problem: _Problem,
    theta: Tensor,
    logits: Tensor,
    direction: Tensor,
    move: Tensor,
    objective: Tensor,
    slope: Tensor,
    c: float,
) -> Tensor:
    """Return the first of 1, ½, ¼, … (classes,) that lowers f by Armijo's rule, or 0 where none does."""
    import torch

    found = torch.zeros_like(objective)
    for halving in range(HALVINGS):
        step = 0.5**halving
        trial = problem.objective(theta + step * direction, logits + step * move, c)
        lower = trial <= objective + 1e-4 * step * slope + ROUNDING * objective
        found = found.where((found > 0) | ~lower, step)
        if bool((found > 0).all()):
            break
    return found
