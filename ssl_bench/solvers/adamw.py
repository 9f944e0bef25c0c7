"""AdamW for parameters that hold several candidates side by side, each with a learning rate and a decay of its own.

For the gradient g at step t (from 1), with rate η, decay λ, β₁ and β₂ (Loshchilov and Hutter, 2019, and torch.optim):

    p ← (1 − η λ) p,   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²,
    p ← p − η m / (1 − β₁ᵗ) / (√(v / (1 − β₂ᵗ)) + ε)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-8


class AdamW:
    """Moves parameters (candidates, …) in place by their `grad`, and clears it."""

    def __init__(
        self, parameters: Sequence[Tensor], decays: Sequence[Tensor], rates: Tensor, *, betas: tuple[float, float]
    ) -> None:
        """`decays` is, for each parameter, λ per candidate (candidates,); `rates` is η per candidate (candidates,)."""
        self.parameters, self.decays, self.rates = tuple(parameters), tuple(decays), rates
        self.betas, self.steps = betas, 0
        self._moments = [(_zeros(parameter), _zeros(parameter)) for parameter in self.parameters]

    def step(self, share: float) -> None:
        """Take one step at a share of the rates."""
        import torch

        self.steps += 1
        first, second = self.betas
        with torch.no_grad():
            for parameter, decay, (mean, square) in zip(self.parameters, self.decays, self._moments, strict=True):
                assert parameter.grad is not None
                shape = (-1,) + (1,) * (parameter.ndim - 1)
                rate = (self.rates * share).view(shape)
                parameter.mul_(1 - rate * decay.view(shape))
                mean.lerp_(parameter.grad, 1 - first)
                square.mul_(second).addcmul_(parameter.grad, parameter.grad, value=1 - second)
                scale = (square / (1 - second**self.steps)).sqrt_().add_(EPSILON)
                parameter.sub_(rate * (mean / (1 - first**self.steps)).div_(scale))
                parameter.grad = None


def _zeros(parameter: Tensor) -> Tensor:
    """Return zeros like a parameter, without its gradient."""
    return parameter.detach().new_zeros(parameter.shape)
