"""What stands for the inverse Hessian in the conjugate gradients of `logistic`: the whole of it, or its diagonal.

The Hessian of C Σ_i cross-entropy_i + ½‖W‖² has a block for each pair of classes under a softmax, and under sigmoids
those of k = l alone,

    H_kl = C X diag(p_k (δ_kl − p_l)) Xᵀ + δ_kl,        X: (columns, samples), p_k: (samples,)

The whole of it is taken where it is small enough to factorise, else the diagonal; `logistic` turns the columns so that
much of it lies there. (The blocks k = l halve the steps of 50,000 × 768 in 100 classes, and cost more than they save.)
A sum leaves out what its terms do not show: those of sample i and class k whose leverage

    C s_ik Σ_j x_ij² / (1 + C Σ_i s_ik x_ij²),        s_ik = p_ik (1 − p_ik),        for columns that are uncorrelated,

is below `SHOWN`, which are most where the penalty is weak and the classes are told apart. Of very many samples the sums
are estimated at first: sample i is taken with a probability that is proportional to its leverage, at most 1, and
weighted by that probability's inverse, so that a direction that few samples show is not lost. Where columns are
correlated that is a poor estimate, which its steps tell: the next one takes four times as many samples.

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

WHOLE = 12_000
"""The largest Hessian, in rows, that is factorised: of so many it takes 576 MB, and its factor as much."""
ROWS = 4
"""Samples that it is estimated from at first, per row of it."""
MANY = 4
"""It is not estimated from fewer than all samples if these are no more than so many times as many."""
POOR = 30
"""Steps from which on a fresh factor was a poor one: exact sums take 10 to 30."""
SHOWN = 1e-6
"""Leverage below which a sample's part in a sum is left out. On MNIST's standardised pixels at C = 5,600, 1e-6 leaves
46 % of the sums, and conjugate gradients take 10 steps; 1e-5 leaves 36 % and takes 30, 1e-4 24 % and over 150."""
DENSE = 2
"""Operations of a product of large matrices in the time of one of the thin products of a step."""
READ = 40
"""The same in the time of reading one number of a factor, which a step does twice."""
GROUP = 1 << 26
"""Blocks of a class and others are summed in one product if its larger factor has no more numbers than this."""


class Preconditioner(abc.ABC):
    """Approximates inverse Hessians along a path; one per problem."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype, rows: int, numbers: int) -> None:
        """`x` is (columns, samples), float32; its last row, of ones, has no penalty. `dtype` does for the diagonal.
        A factor has so many rows in a piece, and holds this many numbers."""
        self.x, self.classes, self.squares = x, classes, x.square().to(dtype)
        self.step, self.reading = DENSE * 4 * x.shape[1] * classes * len(x), READ * numbers
        self.penalised = x.new_ones(len(x))
        self.penalised[-1] = 0
        self.count = x.shape[1] if x.shape[1] <= MANY * ROWS * rows else ROWS * rows
        """Samples that the next factor is made from."""
        self.price = self.operations(self.count) if numbers <= WHOLE**2 else math.inf
        """What the last factor cost, or the first one will."""
        self.spent = 0.0
        """On steps since."""
        self.steps = 0
        """How many since the last point."""
        self.fresh = self.poor = False
        """Whether the factor was made at the last point, and whether the last one took many steps there."""
        self.factor: Tensor | None = None
        self.scale = self.penalised

    def prepare(self, curves: Tensor, c: float) -> None:
        """Renew what `solve` uses, for a point's `curves` (classes, samples) and C, if it is time."""
        if self.fresh:
            self.poor = self.steps > POOR
        self.fresh, self.steps = self.spent >= self.price, 0
        if self.fresh:
            if self.poor:
                self.count = min(MANY * self.count, self.x.shape[1])
            self.factor, self.price, self.spent = *self.factorised(curves, c), 0.0
        if self.factor is None:
            diagonal = self.penalised + c * (self.uncertain(curves).to(self.squares.dtype) @ self.squares.T)
            self.scale = diagonal.clamp_(min=1e-30).reciprocal_()

    def solve(self, left: Tensor) -> Tensor:
        """Return about H⁻¹·left, (classes, columns)."""
        self.steps += 1
        self.spent += self.step
        if self.factor is None:
            return self.scale * left
        self.spent += self.reading
        return self.solved(left, self.factor)

    @abc.abstractmethod
    def operations(self, count: int) -> float:
        """Return the price of a factor from so many samples, none of whose parts is left out."""

    @abc.abstractmethod
    def uncertain(self, curves: Tensor) -> Tensor:
        """Return the second derivative of each sample's loss by each logit, (classes, samples)."""

    @abc.abstractmethod
    def factorised(self, curves: Tensor, c: float) -> tuple[Tensor | None, float]:
        """Return a factor of the Hessian, or None where rounding forbids one, and what it cost."""

    @abc.abstractmethod
    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        """Return H⁻¹·left by a factor."""

    def leverage(self, uncertain: Tensor, c: float) -> Tensor:
        """Return how much each sample adds to the Hessian in its own direction, from s, both (…, samples)."""
        curves = self.penalised + c * (uncertain.to(self.squares.dtype) @ self.squares.T).float()
        shares = curves.clamp_(min=1e-30).reciprocal_().to(self.squares.dtype) @ self.squares
        return shares.float().mul_(uncertain).mul_(c)


class Blocks(Preconditioner):
    """Where classes do not touch one another: a Hessian for each."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype) -> None:
        super().__init__(x, classes, dtype, len(x), classes * len(x) ** 2)

    def operations(self, count: int) -> float:
        return self.classes * (count * len(self.x) ** 2 * 2 + len(self.x) ** 3 / 3)

    def uncertain(self, curves: Tensor) -> Tensor:
        return curves

    def factorised(self, curves: Tensor, c: float) -> tuple[Tensor | None, float]:
        import torch

        made = [self._hessian(curve, c) for curve in curves]
        price = sum(self.operations(count) for _, count in made) / self.classes
        return _cholesky(torch.stack([hessian for hessian, _ in made])), price

    def _hessian(self, curve: Tensor, c: float) -> tuple[Tensor, int]:
        """Return one class's Hessian (columns, columns), and from how many samples it is made."""
        leverage = self.leverage(curve, c)
        chosen, weights = _sample(leverage, self.count)
        shown = leverage[chosen] > SHOWN
        chosen, weights = chosen[shown], weights[shown]
        x = self.x[:, chosen]
        hessian = (x * (c * weights * curve[chosen])) @ x.T
        hessian.diagonal().add_(self.penalised)
        return hessian, len(chosen)

    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        return _solved(left[:, :, None], factor)[:, :, 0]


class Joint(Preconditioner):
    """Where the probabilities of the classes sum to 1: one Hessian of them all."""

    def __init__(self, x: Tensor, classes: int, dtype: torch.dtype) -> None:
        self.size = classes * len(x)
        super().__init__(x, classes, dtype, self.size, self.size**2)

    def operations(self, count: int) -> float:
        return count * len(self.x) ** 2 * self.classes * (self.classes + 1) + self.size**3 / 3

    def uncertain(self, curves: Tensor) -> Tensor:
        return curves - curves * curves

    def factorised(self, curves: Tensor, c: float) -> tuple[Tensor | None, float]:
        hessian, price = self._hessian(curves, c)
        return _cholesky(hessian), price

    def solve(self, left: Tensor) -> Tensor:
        """Return about H⁻¹·left, (classes, columns), of sum 0 over the classes as `left` is."""
        found = super().solve(left)
        return found - found.mean(0)

    def solved(self, left: Tensor, factor: Tensor) -> Tensor:
        return _solved(left.reshape(-1, 1), factor).reshape(left.shape)

    def _hessian(self, p: Tensor, c: float) -> tuple[Tensor, float]:
        """Return the lower triangle of the Hessian, (classes · columns, classes · columns), and its factor's price.

        A class that a sample does not show has the probability 0 there, so the blocks are those of a Hessian still.
        """
        uncertain = p - p * p
        chosen, weights = _sample(self.leverage(uncertain.sum(0), c), self.count)
        p = p[:, chosen].where(self.leverage(uncertain, c)[:, chosen] > SHOWN, 0.0)
        columns, price = len(self.x), self.size**3 / 3
        group = max(1, GROUP // (columns * len(chosen)))
        hessian = self.x.new_zeros(self.size, self.size)
        for k in range(self.classes):
            for first in range(0, k + 1, group):
                some = slice(first, min(first + group, k + 1))
                shown = ((p[k] > 0) & (p[some] > 0).any(0)).nonzero()[:, 0]
                x, own = self.x[:, chosen[shown]], c * (p[k, shown] * weights[shown])
                curved = -p[some, shown] * own
                if k < some.stop:
                    curved[k - first] += own
                rows = ((curved[:, None, :] * x).reshape(-1, len(shown)) @ x.T).reshape(-1, columns, columns)
                rows = rows.transpose(0, 1).reshape(columns, -1)  # every H_kl is symmetric
                hessian[k * columns : (k + 1) * columns, first * columns : some.stop * columns] = rows
                price += 2 * len(shown) * columns**2 * len(curved)
        hessian.diagonal().add_(self.penalised.repeat(self.classes))
        return hessian, price


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
