"""The cross-entropy of a softmax, one class per sample.

    loss = Σ_i [ logsumexp_k(z_ik) − z_{i y_i} ],    H·D = D + C Xᵀ [ P ∘ (U − Σ_k P∘U) ],    U = X D − (X D)_y

U is 0 at the label, so that no digits cancel there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_bench.solvers.linear_loss import Point, Problem, divergence
from ssl_bench.solvers.preconditioner import Joint

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor


class Softmax(Problem):
    """Logistic regression over classes of which one is right."""

    def __init__(self, features: NDArray[Any], labels: NDArray[np.int64], device: str, dtype: torch.dtype) -> None:
        """`labels` is (samples,), 0 … classes − 1."""
        import torch

        super().__init__(features, int(labels.max()) + 1, device, dtype)
        self.labels = torch.as_tensor(np.require(labels, np.int64, "W"), device=device)[None, :]  # (1, samples)

    def frequencies(self) -> Tensor:
        import torch

        counts = torch.bincount(self.labels[0]).double()
        return (counts / counts.sum()).log()

    def point(self, theta: Tensor, logits: Tensor) -> Point:
        """Return the point, with its loss Σ_i [log(1 + Σ_{k≠top} e^{z_k − z_top}) + z_top − z_y]."""
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

    def residual(self, point: Point, some: slice) -> Tensor:
        return self._apart(point.probabilities[:, some].clone(), some)

    def _apart(self, q: Tensor, some: slice) -> Tensor:
        """Return Q − Y; `q` is used up."""
        labels = self.labels[:, some]
        q.scatter_(0, labels, 0.0)
        return q.scatter_(0, labels, -q.sum(0, keepdim=True))

    def foreseen(self, point: Point, better: Point, some: slice) -> tuple[Tensor, float]:
        p = point.probabilities[:, some]
        moves = better.logits[:, some] - point.logits[:, some]
        moves -= (p * moves).sum(0, keepdim=True)
        q = moves.add_(1).clamp_(min=0).mul_(p)
        q.div_(q.sum(0, keepdim=True))
        distance = divergence(q, better.probabilities[:, some])
        return self._apart(q, some), distance

    def curves(self, point: Point) -> Tensor:
        return point.probabilities.float()

    def bent(self, curves: Tensor, u: Tensor, some: slice) -> Tensor:
        u -= u.gather(0, self.labels[:, some])
        u *= curves
        return u.addcmul_(curves, u.sum(0, keepdim=True), value=-1)

    def preconditioner(self) -> Joint:
        return Joint(self.x.float(), self.classes, self.steering.dtype)

    def centred(self, shared: Tensor) -> Tensor:
        """Return (classes, …) of mean 0: what all classes share moves no probability, and the penalty wants it 0."""
        return shared - shared.mean(0)
