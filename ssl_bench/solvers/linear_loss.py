"""What linear classifiers with an L2 penalty share: the data, centred and turned, and a point with its derivatives.

    f_C(W, b) = ½‖W‖² + C · loss(W x + b)        (b is not penalised)

Centring x, and turning it by an orthogonal V, changes neither f nor its optimum. So x is centred, reduced to n columns
by a QR factorisation where it has more, and turned into the eigenvectors of XᵀX: most of the Hessian then lies on its
diagonal. Everything is class by class, (classes, …), which the small products like best.

Values and gradients are in float64, or in float32 where no more is asked for. Products with the Hessian only steer the
search: they take their factors in bfloat16 where the processor multiplies it faster and the data are well enough
conditioned, else in float32.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor

    from ssl_bench.solvers.preconditioner import Preconditioner

SLICE = 1 << 21
"""Samples are taken at a time that have about this many features: for both products with them they stay in cache."""


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A candidate, and what the data say of it."""

    theta: Tensor  # (classes, columns + 1): the turned weights, and last the intercept
    logits: Tensor  # (classes, samples)
    probabilities: Tensor  # (classes, samples)
    loss: float
    penalty: float  # ½‖W‖²

    def objective(self, c: float) -> float:
        return self.penalty + c * self.loss


class Problem(abc.ABC):
    """The data with a row of ones for the intercept; f, its gradient and its curvature."""

    def __init__(self, features: NDArray[Any], classes: int, device: str, dtype: torch.dtype) -> None:
        """`features` is (samples, dim); `dtype` is that of values and gradients."""
        import torch

        x = torch.as_tensor(np.require(features, np.float64, "W"), device=device)
        self.mean = x.mean(0)
        x = x - self.mean
        self.basis = _eigenvectors(x)  # (dim, columns)
        self.x = torch.cat([(x @ self.basis).T, x.new_ones(1, len(x))]).to(dtype)  # (columns + 1, samples)
        self.steering = self.x.to(steering_dtype(self.x.device.type))
        self.classes = classes
        self.penalised = self.x.new_ones(len(self.x))
        self.penalised[-1] = 0
        size = max(1, SLICE // (len(self.x) + classes))
        self.slices = [slice(start, start + size) for start in range(0, x.shape[0], size)]

    def steer_finely(self) -> None:
        """Take products with the Hessian in float32 from now on."""
        self.steering = self.x.float()

    def at(self, weights: NDArray[np.float64], intercepts: NDArray[np.float64]) -> Point:
        """Return the point of weights (dim, classes) and intercepts (classes,) for the features as they were given."""
        import torch

        given = torch.as_tensor(weights, device=self.x.device)
        offset = torch.as_tensor(intercepts, device=self.x.device) + self.mean @ given
        theta = torch.cat([given.T @ self.basis, offset[:, None]], dim=1).to(self.x.dtype)
        return self.point(theta, theta @ self.x)

    def given(self, point: Point) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a point's weights (dim, classes) and intercepts (classes,) for the features as they were given."""
        theta = point.theta.double()
        weights = (theta[:, :-1] @ self.basis.T).T
        intercepts = theta[:, -1] - self.mean @ weights
        return weights.cpu().numpy(), self.centred(intercepts).cpu().numpy()

    def origin(self) -> Point:
        """Return the optimum for C → 0: no weights, and intercepts that give the frequencies of the classes."""
        theta = self.x.new_zeros(self.classes, len(self.x))
        theta[:, -1] = self.frequencies()
        return self.point(theta, theta @ self.x)

    def gradient(self, point: Point, c: float) -> Tensor:
        """Return ∂f/∂(W, b) = (W, 0) + C (P − Y) Xᵀ, (classes, columns + 1)."""
        gradient = self.penalised * point.theta
        for some in self.slices:
            gradient.addmm_(self.residual(point, some), self.x[:, some].T, alpha=c)
        return gradient

    def gap(self, point: Point, better: Point, c: float) -> float:
        """Return the bound on f − f* at `better` that the probabilities that `point` foresees for it prove."""
        total, distance = self.penalised * better.theta, 0.0
        for some in self.slices:
            residual, apart = self.foreseen(point, better, some)
            distance += apart
            total.addmm_(residual, self.x[:, some].T, alpha=c)
        return bound(total) + c * distance

    def curvature(self, curves: Tensor, d: Tensor, c: float) -> Tensor:
        """Return H·d, (classes, columns + 1), float32, as `d` and the point's `curves` are."""
        found = self.penalised.to(d.dtype) * d
        narrow = d.to(self.steering.dtype)
        for some in self.slices:
            u = self.bent(curves[:, some], (narrow @ self.steering[:, some]).to(d.dtype), some)
            found.add_(u.to(narrow.dtype) @ self.steering[:, some].T, alpha=c)
        return found

    @abc.abstractmethod
    def frequencies(self) -> Tensor:
        """Return the intercepts (classes,) of `origin`."""

    @abc.abstractmethod
    def point(self, theta: Tensor, logits: Tensor) -> Point:
        """Return the point, its loss exact when tiny."""

    @abc.abstractmethod
    def residual(self, point: Point, some: slice) -> Tensor:
        """Return P − Y of some samples, (classes, some), exact when tiny."""

    @abc.abstractmethod
    def foreseen(self, point: Point, better: Point, some: slice) -> tuple[Tensor, float]:
        """Return Q − Y (classes, some) for the probabilities Q that `point` foresees for `better` by its first
        derivatives, and the sum of their Kullback-Leibler divergences from those that `better` has."""

    @abc.abstractmethod
    def curves(self, point: Point) -> Tensor:
        """Return what products with the Hessian need of a point, (classes, samples), float32."""

    @abc.abstractmethod
    def bent(self, curves: Tensor, u: Tensor, some: slice) -> Tensor:
        """Return the second derivatives of the loss times the moves `u` of the logits, both (classes, some)."""

    @abc.abstractmethod
    def preconditioner(self) -> Preconditioner:
        """Return what stands for the inverse Hessian."""

    def centred(self, shared: Tensor) -> Tensor:
        """Return (classes, …) without what moves no probability."""
        return shared


def bound(gradient: Tensor) -> float:
    """Return ½‖∂f/∂W‖² + ‖∂f/∂b‖₁."""
    return float(0.5 * gradient[:, :-1].square().sum() + gradient[:, -1].abs().sum())


def divergence(q: Tensor, p: Tensor) -> float:
    """Return Σ q log(q/p) − q + p, none of whose terms is below 0, without the loss of digits where q is near p."""
    tiny = 1e-300 if q.dtype.itemsize == 8 else 1e-37
    log = (q / p.clamp(min=tiny)).clamp_(min=tiny).log_()
    return float((q * (log + (-log).expm1_())).sum())


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


@functools.cache
def steering_dtype(device: str) -> torch.dtype:
    """Return bfloat16 where the device multiplies it in hardware, else float32."""
    import torch

    if device == "cpu":
        known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if known.get("avx512_bf16") or known.get("amx_bf16") else torch.float32
    return torch.bfloat16 if device == "cuda" else torch.float32
