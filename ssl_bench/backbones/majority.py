"""Control: nothing is seen. Every protocol answers with what training labels alone tell."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_bench.backbones.base import Backbone, Features, LoadContext, choose_pooling
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the backbone that says the same of every image."""
    return MajorityBackbone(card)


class MajorityBackbone(Backbone):
    """A constant feature of one dimension."""

    poolings = ("constant",)
    informative = False
    library = f"torch {torch.__version__}"

    def __init__(self, card: ModelCard) -> None:
        self.input = card.input.applied_to(InputSpec(size=(8, 8), resize="squash", interpolation="nearest"))
        self.default_pooling = choose_pooling(card, self.poolings, "constant")

    @torch.inference_mode()
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return ones, (images, 1)."""
        return Features(torch.ones(len(images), 1, device=images.device))
