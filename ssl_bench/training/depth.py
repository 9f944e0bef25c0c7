"""Stochastic depth whose draws depend on the seed, the step and an image's place in the batch alone.

The libraries' modules draw from torch's common generator, so that which images skip a block would depend on how a batch
is cut over micro-batches and processes. Here each has a row of draws for the whole batch, and sees its part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ssl_bench.training.seeds import number

if TYPE_CHECKING:
    from torch import Tensor

CALLS = 2
"""Times that a block calls its module: Hugging Face's DINOv2 has one for attention and MLP."""


class Depth:
    """Stands in for the modules of a network that drop paths, until it is undone."""

    def __init__(self, network: nn.Module, batch: int) -> None:
        first = next(network.parameters())
        self.batch, self.device, self.dtype = batch, first.device, first.dtype
        self.seats = [
            (parent, name, module)
            for parent in network.modules()
            for name, module in parent._modules.items()  # named_children leaves out a module's second name
            if module is not None and _odds(module) > 0
        ]
        self.drops = {module: _Drop(module) for _, _, module in self.seats}
        for parent, name, module in self.seats:
            setattr(parent, name, self.drops[module])
        self._odds = torch.tensor([_odds(module) for module in self.drops], device=self.device, dtype=self.dtype)
        self._table = torch.empty(0)

    def draw(self, seed: int, step: int) -> None:
        """Draw what the images of a step's batch skip."""
        if not self.drops:
            return
        generator = torch.Generator(self.device).manual_seed(number([seed, step]))
        drawn = torch.rand(
            len(self.drops), CALLS, self.batch, generator=generator, device=self.device, dtype=self.dtype
        )
        odds = self._odds.view(-1, 1, 1)
        self._table = (drawn >= odds) / (1 - odds)  # (modules, calls, batch): 0, or what makes up for the others

    def show(self, places: Tensor) -> None:
        """Have the next forward pass be that of the images at these places (images,) of the batch."""
        if not self.drops:
            return
        part = self._table[:, :, places]
        for drop, scales in zip(self.drops.values(), part, strict=True):
            drop.scales, drop.turn = scales, 0

    def undo(self) -> None:
        """Give the network its own modules back."""
        for parent, name, module in self.seats:
            setattr(parent, name, module)


class _Drop(nn.Module):
    """One module's stand-in; where it is called otherwise than once or twice per image, the module itself drops."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own, self.turn = own, 0
        self.scales: Tensor | None = None  # (calls, images)

    def forward(self, branch: Tensor) -> Any:
        """Return the branch (images, …), nothing of it for the images that skip."""
        if not self.training:
            return branch
        if self.scales is None or self.turn >= CALLS or len(branch) != self.scales.shape[1]:
            return self.own(branch)
        scale = self.scales[self.turn].to(branch.dtype)
        self.turn += 1
        return branch * scale.view(-1, *[1] * (branch.ndim - 1))


def _odds(module: nn.Module) -> float:
    """Return with what probability a module skips an image; 0 for modules of other kinds."""
    kind = type(module).__name__
    if kind.endswith("DropPath"):  # timm's and Hugging Face's
        return float(getattr(module, "drop_prob", None) or 0.0)
    return float(module.p) if kind == "StochasticDepth" and module.mode == "row" else 0.0  # type: ignore[arg-type]
