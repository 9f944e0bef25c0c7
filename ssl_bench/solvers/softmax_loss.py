"""The objective of multinomial logistic regression and its derivatives, on data that are centred and turned.

    f_C(W, b) = ½‖W‖² + C Σ_i [ logsumexp_k(x_i·w_k + b_k) − (x_i·w_{y_i} + b_{y_i}) ]

Centring x, and turning it by an orthogonal V, changes neither f nor its optimum. So x is centred, reduced to n columns
by a QR factorisation where it has more, and turned into the eigenvectors of XᵀX: most of the Hessian then lies on its
diagonal. Everything is class by class, (classes, …), which the small products like best.

Values and gradients are in float64, or in float32 where no more is asked for. Products with the Hessian,

    H·D = D + C Xᵀ [ P ∘ (U − Σ_k P∘U) ],     U = X D − (X D)_y        (U is 0 at the label: no digits cancel)

only steer the search: they take their factors in bfloat16 where the processor multiplies it faster and the data are
well enough conditioned, else in float32.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor

SLICE = 1 << 21
"""Samples are taken at a time that have about this many features: for both products with them they stay in cache."""


@dataclasses.dataclass(frozen=True, eq=False)
class Point:
    """A candidate, and what the data say of it."""

    theta: Tensor  # (classes, columns + 1): the turned weights, and last the intercept
    logits: Tensor  # (classes, samples)
    probabilities: Tensor  # (classes, samples)
    loss: float  # Σ_i cross-entropy
    penalty: float  # ½‖W‖²

    def objective(self, c: float) -> float:
        return self.penalty + c * self.loss


class Problem:
    """The data, centred and turned, with a row of ones for the intercept; and f, its gradient and its curvature."""

    def __init__(self, features: NDArray[Any], labels: NDArray[np.int64], device: str, dtype: torch.dtype) -> None:
        """`features` is (samples, dim), `labels` (samples,); `dtype` is that of values and gradients."""
        import torch

        x = torch.as_tensor(np.require(features, np.float64, "W"), device=device)
        self.mean = x.mean(0)
        x = x - self.mean
        self.basis = _eigenvectors(x)  # (dim, columns)
        self.x = torch.cat([(x @ self.basis).T, x.new_ones(1, len(x))]).to(dtype)  # (columns + 1, samples)
        self.steering = self.x.to(_steering_dtype(self.x.device.type))
        self.labels = torch.as_tensor(np.require(labels, np.int64, "W"), device=device)[None, :]  # (1, samples)
        self.penalised = self.x.new_ones(len(self.x))
        self.penalised[-1] = 0
        size = max(1, SLICE // (len(self.x) + int(labels.max()) + 1))
        self.slices = [slice(start, start + size) for start in range(0, len(labels), size)]

    @property
    def classes(self) -> int:
        return int(self.labels.max()) + 1

    def steer_finely(self) -> None:
        """Take products with the Hessian in float32 from now on."""
        self.steering = self.x.float()

    def origin(self) -> Point:
        """Return the optimum for C → 0: no weights, and intercepts that give the frequencies of the classes."""
        import torch

        counts = torch.bincount(self.labels[0]).to(self.x.dtype)
        theta = self.x.new_zeros(len(counts), len(self.x))
        theta[:, -1] = (counts / counts.sum()).log()
        return self.point(theta, theta @ self.x)

    def at(self, weights: NDArray[np.float64], intercepts: NDArray[np.float64]) -> Point:
        """Return the point of weights (dim, classes) and intercepts (classes,) for the features as they were given."""
        import torch

        given = torch.as_tensor(weights, device=self.x.device)
        offset = torch.as_tensor(intercepts, device=self.x.device) + self.mean @ given
        theta = torch.cat([given.T @ self.basis, offset[:, None]], dim=1).to(self.x.dtype)
        return self.point(theta, theta @ self.x)

    def given(self, point: Point) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return a point's weights (dim, classes) and intercepts (classes,), of mean 0, for the features as given."""
        theta = point.theta.double()
        weights = (theta[:, :-1] @ self.basis.T).T
        intercepts = theta[:, -1] - self.mean @ weights
        return weights.cpu().numpy(), (intercepts - intercepts.mean()).cpu().numpy()

    def point(self, theta: Tensor, logits: Tensor) -> Point:
        """Return the point, with its loss Σ_i [log(1 + Σ_{k≠top} e^{z_k − z_top}) + z_top − z_y]: exact when tiny."""
        import torch

        probabilities, loss = torch.empty_like(logits), 0.0
        for some in self.slices:
            top, where = logits[:, some].max(0, keepdim=True)
            shares = torch.sub(logits[:, some], top, out=probabilities[:, some]).exp_()
            rest = shares.scatter(0, where, 0.0).sum(0, keepdim=True)
            losses = rest.log1p() + (top - logits[:, some].gather(0, self.labels[:, some]))
            loss += float(losses.sum(dtype=torch.float64))
            shares.div_(rest.add_(1))
        return Point(theta, logits, probabilities, loss, 0.5 * float(theta[:, :-1].square().sum(dtype=torch.float64)))

    def gradient(self, point: Point, c: float) -> Tensor:
        """Return ∂f/∂(W, b) = (W, 0) + C (P − Y) Xᵀ, (classes, columns + 1)."""
        gradient = self.penalised * point.theta
        for some in self.slices:
            self._add_residual(gradient, point.probabilities[:, some].clone(), some, c)
        return gradient

    def gap(self, point: Point, better: Point, c: float) -> float:
        """Return the bound on f − f* at `better` that the probabilities that `point` foresees for it prove."""
        residual, divergence = self.penalised * better.theta, 0.0
        tiny = 1e-300 if self.x.dtype.itemsize == 8 else 1e-37
        for some in self.slices:
            q = _linearised(point, better, some)
            log = (q / better.probabilities[:, some].clamp(min=tiny)).clamp_(min=tiny).log_()
            divergence += float((q * (log + (-log).expm1_())).sum())  # q log(q/p) − q + p, all of it above 0
            self._add_residual(residual, q, some, c)
        return bound(residual) + c * divergence

    def _add_residual(self, total: Tensor, q: Tensor, some: slice, c: float) -> None:
        """Add C (Q − Y) Xᵀ of some samples, (classes, columns + 1); the columns of `q`, which is used up, sum to 1."""
        labels = self.labels[:, some]
        q.scatter_(0, labels, 0.0)
        q.scatter_(0, labels, -q.sum(0, keepdim=True))  # the label's q − 1, exact when tiny
        total.addmm_(q, self.x[:, some].T, alpha=c)

    def curvature(self, p: Tensor, d: Tensor, c: float) -> Tensor:
        """Return H·d, (classes, columns + 1), float32, as `d` and the probabilities `p` are."""
        found = self.penalised.to(d.dtype) * d
        narrow = d.to(self.steering.dtype)
        for some in self.slices:
            u = (narrow @ self.steering[:, some]).to(d.dtype)
            u -= u.gather(0, self.labels[:, some])
            u *= p[:, some]
            u.addcmul_(p[:, some], u.sum(0, keepdim=True), value=-1)
            found.add_(u.to(narrow.dtype) @ self.steering[:, some].T, alpha=c)
        return found


def bound(gradient: Tensor) -> float:
    """Return ½‖∂f/∂W‖² + ‖∂f/∂b‖₁."""
    return float(0.5 * gradient[:, :-1].square().sum() + gradient[:, -1].abs().sum())


def _linearised(point: Point, better: Point, some: slice) -> Tensor:
    """Return the probabilities (classes, some) that `point` foresees for `better` by its first derivatives."""
    p = point.probabilities[:, some]
    moves = better.logits[:, some] - point.logits[:, some]
    moves -= (p * moves).sum(0, keepdim=True)
    foreseen = moves.add_(1).clamp_(min=0).mul_(p)
    return foreseen.div_(foreseen.sum(0, keepdim=True))


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
def _steering_dtype(device: str) -> torch.dtype:
    """Return bfloat16 where the device multiplies it in hardware, else float32."""
    import torch

    if device == "cpu":
        known: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return torch.bfloat16 if known.get("avx512_bf16") or known.get("amx_bf16") else torch.float32
    return torch.bfloat16 if device == "cuda" else torch.float32
