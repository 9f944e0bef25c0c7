"""Control: the network of another card without its weights. What it scores is owed to architecture and input alone.

`random:NAME` takes the card NAME; [arch], [input] and `pooled` of the control's own card override those of NAME.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ssl_bench.backbones.base import Backbone, Features, LoadContext
from ssl_bench.errors import UsageError
from ssl_bench.model_zoo import ModelCard


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the named card's network as its constructor and the seed make it."""
    if not card.weights.name or context.load_untrained is None:
        raise UsageError(f"{card.name}: name the card whose network is taken untrained, as in random:dinov2_vits14")
    of = context.load_card(card.weights.name)
    if of.adapter in ("majority", "pixels", "random"):
        raise UsageError(f"{card.name}: {of.name} is a control itself and has no weights to leave out")
    merged = card.input.over(of.input)
    of = dataclasses.replace(of, arch={**of.arch, **card.arch}, input=merged, pooled=card.pooled or of.pooled)
    return RandomBackbone(context.load_untrained(of), context.seed)


class RandomBackbone(Backbone):
    """An untrained network behind the input and the poolings of the trained one."""

    def __init__(self, of: Backbone, seed: int) -> None:
        self._of, self._seed = of, seed
        self.network, self.input, self.library = of.network, of.input, of.library
        self.poolings, self.default_pooling = of.poolings, of.default_pooling

    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return what the untrained network says."""
        return self._of.forward(images, pooling)

    def forward_all(self, images: Tensor, poolings: Sequence[str]) -> dict[str, Tensor]:
        """Return what the untrained network says, in as few passes as the trained one's."""
        return self._of.forward_all(images, poolings)

    def texts(self, texts: Sequence[str]) -> Tensor:
        """Return what the untrained text tower says, where the model has one."""
        return self._of.texts(texts)

    def arch(self) -> dict[str, Any]:
        """Return the architecture and the seed of its weights."""
        return {"class": "Random", "of": self._of.arch(), "seed": self._seed}
