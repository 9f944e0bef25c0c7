"""Linear classifiers of one kind of features, trained at once by SGD with momentum, each at a learning rate of its own.

For every head h, with P the softmax of X W_h + b_h and Y the labels' indicators, over the n samples of a batch:

    G = Xᵀ (P − Y) / n,     V ← μ V + G,     W_h ← W_h − η_h V          (and the same for b_h, of the column means)

which is what torch.optim.SGD and nn.CrossEntropyLoss do to separate layers whose losses are summed. The heads lie side
by side, so that a step of all of them is two matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Generator, Tensor


class LinearHeads:
    """Heads for one kind of features; weights start at N(0, deviation), biases at 0."""

    def __init__(
        self,
        dim: int,
        classes: int,
        rates: Sequence[float],
        *,
        momentum: float,
        deviation: float,
        generator: Generator,
        device: str,
    ) -> None:
        import torch

        self.rates = torch.tensor(rates, dtype=torch.float32, device=device)[:, None]  # (heads, 1)
        drawn = torch.randn(dim, len(rates), classes, generator=generator) * deviation
        self.weights = drawn.to(device)  # (dim, heads, classes)
        self.biases = self.weights.new_zeros(len(rates), classes)
        self.momentum = momentum
        self._velocities = torch.zeros_like(self.weights), torch.zeros_like(self.biases)

    def logits(self, features: Tensor) -> Tensor:
        """Return what the heads say of features (samples, dim): (samples, heads, classes)."""
        flat = features @ self.weights.flatten(1)
        return flat.view(len(features), *self.biases.shape).add_(self.biases)

    def step(self, features: Tensor, labels: Tensor, share: float) -> None:
        """Take one step of all heads on a batch (samples, dim) with labels (samples,), at a share of their rates."""
        import torch

        residual = torch.softmax(self.logits(features), 2)
        residual[torch.arange(len(labels), device=labels.device), :, labels] -= 1
        residual /= len(labels)
        gradient = (features.T @ residual.flatten(1)).view(self.weights.shape)
        for value, velocity, slope in zip(
            (self.weights, self.biases), self._velocities, (gradient, residual.sum(0)), strict=True
        ):
            velocity.mul_(self.momentum).add_(slope)
            value.sub_(velocity * (self.rates * share))

    def finite(self) -> list[bool]:
        """Return, for every head, whether its weights are finite: too high a rate lets them grow without bound."""
        found: list[bool] = self.weights.isfinite().all(2).all(0).logical_and(self.biases.isfinite().all(1)).tolist()
        return found
