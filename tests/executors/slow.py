"""Networks that leave time to interrupt them, or end their process, for `module:tests.executors.slow:NAME`."""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor, nn


class Slow(nn.Module):
    """Images to the answers of a seeded linear layer, a tenth of a second for each batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(64, 24)

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 1:
            print("a batch passes", flush=True)
            time.sleep(0.1)
        found: Tensor = self.layer(images.flatten(1))
        return found


class Deadly(Slow):
    """Ends its process."""

    def forward(self, images: Tensor) -> Tensor:
        if len(images) > 1:
            os._exit(7)
        return super().forward(images)


def network() -> nn.Module:
    return Slow()


def deadly() -> nn.Module:
    return Deadly()
