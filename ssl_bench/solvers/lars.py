"""LARS: momentum SGD whose step is scaled, layer by layer, to the size of the weights that it moves.

For a parameter p of two dimensions or more with the gradient g, learning rate η, momentum μ, trust τ and decay λ:

    d = g + λ p,     q = τ ‖p‖ / ‖d‖  (1 where a norm is 0),     v ← μ v + q d,     p ← p − η v

and for vectors (biases) d = g and q = 1. You, Gitman and Ginsburg, Large Batch Training of Convolutional Networks
(2017), in the form of facebookresearch/mae, util/lars.py, where the rate stands outside the velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class Lars:
    """Moves parameters in place; the caller brings gradients and the rate of each step."""

    def __init__(
        self, parameters: Sequence[Tensor], *, momentum: float = 0.9, trust: float = 0.001, weight_decay: float = 0.0
    ) -> None:
        self.parameters = tuple(parameters)
        self.momentum, self.trust, self.weight_decay = momentum, trust, weight_decay
        self._velocities = [parameter.new_zeros(parameter.shape) for parameter in self.parameters]

    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        """Take one step; `gradients` have the shapes of the parameters."""
        for parameter, gradient, velocity in zip(self.parameters, gradients, self._velocities, strict=True):
            velocity.mul_(self.momentum).add_(self._direction(parameter, gradient))
            parameter.sub_(velocity, alpha=rate)

    def _direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        if parameter.ndim < 2:
            return gradient
        direction = gradient.add(parameter, alpha=self.weight_decay)
        length, slope = parameter.norm(), direction.norm()
        ratio = (self.trust * length / slope).where((length > 0) & (slope > 0), length.new_ones(()))
        return direction.mul(ratio)
