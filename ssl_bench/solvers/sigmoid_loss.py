"""The cross-entropy of a sigmoid for each class, of which any number may hold of a sample.

    loss = Σ_ik m_ik [ log(1 + e^{z_ik}) − y_ik z_ik ],    H·D = D + C Xᵀ [ M ∘ P ∘ (1 − P) ∘ X D ]

with m_ik = 0 for a sample of which it is not known whether class k holds. The classes are questions by themselves,
scikit-learn's LogisticRegression on two classes each; they share the data, so they are solved together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ssl_bench.solvers.linear_loss import Point, Problem, divergence
from ssl_bench.solvers.preconditioner import Blocks

if TYPE_CHECKING:
    from typing import Any

    import torch
    from torch import Tensor


class Sigmoid(Problem):
    """Logistic regression of each class against the rest."""

    def __init__(self, features: NDArray[Any], holds: NDArray[np.int64], device: str, dtype: torch.dtype) -> None:
        """`holds` is (samples, classes): 1, 0, or -1 for samples that a class does not learn from."""
        import torch

        super().__init__(features, holds.shape[1], device, dtype)
        known = torch.as_tensor(np.require(holds.T, np.int64, ["C", "W"]), device=device)  # (classes, samples)
        self.known, self.holds = (known >= 0).to(dtype), known == 1

    def frequencies(self) -> Tensor:
        positive = self.holds.sum(1).double()
        return (positive / (self.known.sum(1) - positive)).log()

    def point(self, theta: Tensor, logits: Tensor) -> Point:
        import torch

        probabilities, loss = torch.empty_like(logits), 0.0
        for some in self.slices:
            torch.sigmoid(logits[:, some], out=probabilities[:, some])
            wrong = logits[:, some].where(~self.holds[:, some], -logits[:, some])
            losses = torch.nn.functional.softplus(wrong, threshold=50).mul_(self.known[:, some])
            loss += float(losses.sum(dtype=torch.float64))
        return Point(theta, logits, probabilities, loss, 0.5 * float(theta[:, :-1].square().sum(dtype=torch.float64)))

    def residual(self, point: Point, some: slice) -> Tensor:
        return self._apart(point.probabilities[:, some], (-point.logits[:, some]).sigmoid_(), some)

    def _apart(self, q: Tensor, rest: Tensor, some: slice) -> Tensor:
        """Return M ∘ (Q − Y) from Q and 1 − Q."""
        return q.where(~self.holds[:, some], -rest).mul_(self.known[:, some])

    def foreseen(self, point: Point, better: Point, some: slice) -> tuple[Tensor, float]:
        p, rest = point.probabilities[:, some], (-point.logits[:, some]).sigmoid_()
        moves = (better.logits[:, some] - point.logits[:, some]).mul_(p).mul_(rest)
        q, left, known = (p + moves).clamp_(0, 1), (rest - moves).clamp_(0, 1), self.known[:, some]
        distance = divergence(q * known, better.probabilities[:, some] * known)
        distance += divergence(left * known, (-better.logits[:, some]).sigmoid_() * known)
        return self._apart(q, left, some), distance

    def curves(self, point: Point) -> Tensor:
        return (point.probabilities * (-point.logits).sigmoid_() * self.known).float()

    def bent(self, curves: Tensor, u: Tensor, some: slice) -> Tensor:
        return u.mul_(curves)

    def preconditioner(self) -> Blocks:
        return Blocks(self.x.float(), self.classes, self.steering.dtype)
