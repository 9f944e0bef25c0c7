"""What stands for the inverse Hessian in the conjugate gradients of `logistic`: the whole of it, or its diagonal.

The Hessian of C Σ_i cross-entropy_i + ½‖W‖² has a block for each pair of classes under a softmax, and under sigmoids
those of k = l alone,

    H_kl = C X diag(p_k (δ_kl − p_l)) Xᵀ + δ_kl,        X: (columns, samples), p_k: (samples,)

The whole of it is taken where it is small enough to factorise, else the diagonal; `logistic` turns the columns so that
much of it lies there. (The blocks k = l halve the steps of 50,000 × 768 in 100 classes, and cost more than they save.)
Sums over many samples are estimated: sample i is taken with a probability that is proportional to its leverage

    s_i Σ_j x_ij² / (1 + C Σ_i s_i x_ij²),        s_i = Σ_k p_ik (1 − p_ik),        for columns that are uncorrelated,

at most 1, and weighted by that probability's inverse. So a direction that few samples show is not lost.

A factor stays good for a while, across steps and across neighbouring C, because a common scale does not matter. It is
renewed when the steps since have cost about as much as a new one does: no more than twice the cost of the best moment.
Costs are counted in operations of a product of large matrices.
"""

from __future__ import annotations

import abc
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WHOLE = 8000
"""The largest Hessian, in rows, that is factorised."""
ROWS = 4
"""Samples that it is estimated from, per row of it."""
DENSE = 2
"""Operations of a product of large matrices in the time of one of the thin products of a step."""
READ = 40
"""The same in the time of reading one number of a factor, which a step does twice."""


class Preconditioner(abc.ABC):
    """Approximates inverse Hessians along a path; one per problem."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype, price: float, numbers: int) -> None:
        """`x` is (columns, samples), float32; its last row, of ones, has no penalty. `dtype` does for the diagonal.
        A factor costs `price` operations and holds this many numbers."""
        self.x, self.classes, self.squares, self.price = x, classes, x.square().to(dtype), price
        self.step, self.reading = DENSE * 4 * x.shape[1] * classes * len(x), READ * numbers
        self.penalised = x.new_ones(len(x))
        self.penalised[-1] = 0
        self.spent = 0.0
        self.factor: Tensor | None = None
        self.scale = self.penalised

    def prepare(self, curves: Tensor, c: float) -> None:
        """Renew what `solve` uses, for a point's `curves` (classes, samples) and C, if it is time."""
        if self.spent >= self.price:
            self.factor, self.spent = self.factorised(curves, c), 0.0
        if self.factor is None:
            diagonal = self.penalised + c * (self.uncertain(curves).to(self.squares.dtype) @ self.squares.T)
            self.scale = diagonal.clamp_(min=1e-30).reciprocal_()

    def solve(self, left: Tensor) -> Tensor:
        """Return about H⁻¹·left, (classes, columns)."""
        self.spent += self.step
        if self.factor is None:
            return self.scale * left
        self.spent += self.reading
        return self.solved(left, self.factor)

    @abc.abstractmethod
    def uncertain(self, curves: Tensor) -> Tensor:
        """Return the second derivative of each sample's loss by each logit, (classes, samples)."""

    @abc.abstractmethod
    def factorised(self, curves: Tensor, c: float) -> Tensor | None:
        """Return a factor of the Hessian, or None where rounding forbids one."""

    @abc.abstractmethod
    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        """Return H⁻¹·left by a factor."""

    def leverage(self, uncertain: Tensor, c: float) -> Tensor:
        """Return how much each sample adds to the Hessian in its own direction, from s, both (…, samples)."""
        curves = self.penalised + c * (uncertain.to(self.squares.dtype) @ self.squares.T).float()
        shares = curves.clamp_(min=1e-30).reciprocal_().to(self.squares.dtype) @ self.squares
        return uncertain * shares.float()


class Blocks(Preconditioner):
    """Where classes do not touch one another: a Hessian for each."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype) -> None:
        columns, samples = x.shape
        self.count = min(samples, ROWS * columns)
        price = classes * (self.count * columns**2 * 2 + columns**3 / 3)
        numbers = classes * columns**2
        super().__init__(x, classes, dtype, price if numbers <= WHOLE**2 else math.inf, numbers)

    def uncertain(self, curves: Tensor) -> Tensor:
        return curves

    def factorised(self, curves: Tensor, c: float) -> Tensor | None:
        import torch

        hessians = torch.stack([self._hessian(curve, c) for curve in curves])
        return _cholesky(hessians)

    def _hessian(self, curve: Tensor, c: float) -> Tensor:
        """Return one class's Hessian (columns, columns)."""
        chosen, weights = _sample(self.leverage(curve, c), self.count)
        x = self.x[:, chosen]
        hessian = (x * (c * weights * curve[chosen])) @ x.T
        hessian.diagonal().add_(self.penalised)
        return hessian

    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        return _solved(left[:, :, None], factor)[:, :, 0]


class Joint(Preconditioner):
    """Where the probabilities of the classes sum to 1: one Hessian of them all."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype) -> None:
        columns, samples = x.shape
        self.size = classes * columns
        self.count = min(samples, ROWS * self.size)
        price = self.count * columns**2 * classes * (classes + 1) + self.size**3 / 3
        super().__init__(x, classes, dtype, price if self.size <= WHOLE else math.inf, self.size**2)

    def uncertain(self, curves: Tensor) -> Tensor:
        return curves - curves * curves

    def factorised(self, curves: Tensor, c: float) -> Tensor | None:
        return _cholesky(self._hessian(curves, c))

    def solve(self, left: Tensor) -> Tensor:
        """Return about H⁻¹·left, (classes, columns), of sum 0 over the classes as `left` is."""
        found = super().solve(left)
        return found - found.mean(0)

    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        return _solved(left.reshape(-1, 1), factor).reshape(left.shape)

    def _hessian(self, p: Tensor, c: float) -> Tensor:
        """Return the lower triangle of the Hessian, (classes · columns, classes · columns)."""
        chosen, weights = _sample(self.leverage((p - p * p).sum(0), c), self.count)
        x, p = self.x[:, chosen], p[:, chosen]
        classes, columns = len(p), len(x)
        hessian = x.new_zeros(self.size, self.size)
        for k in range(classes):
            curved = -p[: k + 1] * (p[k] * c * weights)
            curved[k] += p[k] * c * weights
            rows = ((curved[:, None, :] * x).reshape(-1, x.shape[1]) @ x.T).reshape(k + 1, columns, columns)
            rows = rows.transpose(0, 1).reshape(columns, -1)  # every H_kl is symmetric
            hessian[k * columns : (k + 1) * columns, : (k + 1) * columns] = rows
        hessian.diagonal().add_(self.penalised.repeat(classes))
        return hessian


def _sample(weights: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return samples, about `count` at even steps of the running sum of `weights`, and 1 / their probabilities."""
    weights = weights.double() + 1e-30
    if count >= len(weights):
        return weights.nonzero()[:, 0], weights.new_ones(len(weights)).float()
    shares = (weights * (count / weights.sum())).clamp_(max=1)
    steps = (shares.cumsum(0) + 0.5).floor_()
    steps[1:] -= steps[:-1].clone()
    chosen = steps.nonzero()[:, 0]
    return chosen, shares[chosen].reciprocal().float()


def _solved(left: Tensor, factor: Tensor) -> Tensor:
    """Return H⁻¹·left, (…, rows, 1), by the lower factor. `torch.cholesky_solve` is ten times slower for one column."""
    import torch

    half: Tensor = torch.linalg.solve_triangular(factor, left, upper=False)
    found: Tensor = torch.linalg.solve_triangular(factor.mT, half, upper=True)
    return found


def _cholesky(hessian: Tensor) -> Tensor | None:
    """Return the lower factor, or factors; where rounding has made the Hessian indefinite, with more diagonal."""
    import torch

    diagonal = hessian.diagonal(dim1=-2, dim2=-1)
    for share in (1e-6, 1e-5, 1e-4, 1e-3):
        diagonal.mul_(1 + share)
        found: tuple[Tensor, Tensor] = torch.linalg.cholesky_ex(hessian)
        if not found[1].any():
            return found[0]
    return None
