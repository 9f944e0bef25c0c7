"""Control: the input's own pixels, flattened. What it scores needs no representation at all."""

from __future__ import annotations

import torch
from torch import Tensor

from ssl_bench.backbones.base import Backbone, Features, LoadContext, choose_pooling
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return pixels in 0..1, 32x32 RGB unless the card says otherwise."""
    return PixelsBackbone(card)


class PixelsBackbone(Backbone):
    """Images flattened to vectors, channels first; the dense features are the images."""

    poolings = ("pixels",)
    library = f"torch {torch.__version__}"

    def __init__(self, card: ModelCard) -> None:
        channels = 1 if card.input.channels == "grey" else 3
        neutral = InputSpec(
            size=(32, 32),
            resize="squash",
            interpolation="bilinear",
            channels="grey" if channels == 1 else "rgb",
            mean=(0.0,) * channels,
            std=(1.0,) * channels,
        )
        self.input = card.input.applied_to(neutral)
        self.default_pooling = choose_pooling(card, self.poolings, "pixels")

    @torch.inference_mode()
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return (images, channels x height x width)."""
        return Features(images.flatten(1), images)
