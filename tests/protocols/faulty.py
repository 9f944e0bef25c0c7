"""A network of images and texts that can be told to fail, for the adapter `tests.protocols.faulty:load`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones.base import Backbone, Features, LoadContext
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

CARD = """
title = "Faulty"
adapter = "tests.protocols.faulty:load"
[arch]
fault = "{fault}"
"""


class Faulty(Backbone):
    """The image's four quarters through one seeded layer; `fault` is what becomes of its numbers."""

    poolings = ("map", "proj")
    default_pooling = "map"

    def __init__(self, fault: str) -> None:
        self.fault = fault
        self.input = InputSpec(size=(8, 8), resize="squash", channels="grey", mean=(0.5,), std=(0.25,))
        torch.manual_seed(0)
        self.network = nn.Conv2d(1, 16, 4, stride=4).eval().requires_grad_(False)

    def forward(self, images: Tensor, pooling: str) -> Features:
        assert self.network is not None
        dense = self.network(images)
        if self.fault in ("nan", "inf"):
            dense[0] = float(self.fault)
        if self.fault == "zero":
            dense = torch.zeros_like(dense)
        return Features(dense.mean((2, 3)), dense)

    def texts(self, texts: Sequence[str]) -> Tensor:
        generator = torch.Generator().manual_seed(len(texts))
        return torch.randn(len(texts), 16, generator=generator)

    def arch(self) -> dict[str, Any]:
        return {"class": "Faulty", "fault": self.fault}


def load(card: ModelCard, context: LoadContext) -> Backbone:
    return Faulty(str(card.arch.get("fault", "")))
