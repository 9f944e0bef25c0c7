"""The four convolutions of few-shot learning (Vinyals et al. 2016), in the form of relation networks.

Names as in https://github.com/floodsung/LearningToCompare_FSL: the first two layers have no padding and are pooled, the
last two keep their size. The input is that of its mini-ImageNet networks; its Omniglot networks take grey images of 28
pixels, ink black on white, with the same mean and deviation, which a card says in [input]. Its authors leave batch norm
in training mode when they test; frozen, it uses the stored statistics, and the feature is another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys

INPUT: Mapping[str, Any] = {
    "size": (84, 84),
    "resize": "squash",
    "interpolation": "lanczos",
    "mean": (0.92206, 0.92206, 0.92206),
    "std": (0.08426, 0.08426, 0.08426),
}
POOLINGS = ("flat", "gap")
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.",)
DROPPED: tuple[str, ...] = ()
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the number of input channels."""
    return {"channels": state["layer1.0.weight"].shape[1]}


def build(channels: int = 3) -> nn.Module:
    """Return the untrained network for grey (1) or colour (3) images."""
    return Conv4(channels)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map flattened (its authors' feature), its mean (64), and the map itself."""
    dense = network(images)
    return {"flat": dense.flatten(1), "gap": dense.mean((2, 3)), "dense": dense}


class Conv4(nn.Module):
    """Images (n, channels, height, width) to the last map (n, 64, about height / 4, about width / 4)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(*_layer(channels, padding=0), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(*_layer(64, padding=0), nn.MaxPool2d(2))
        self.layer3 = nn.Sequential(*_layer(64, padding=1))
        self.layer4 = nn.Sequential(*_layer(64, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        dense: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(images))))
        return dense


def _layer(inputs: int, padding: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, 64, 3, padding=padding), nn.BatchNorm2d(64), nn.ReLU()]
