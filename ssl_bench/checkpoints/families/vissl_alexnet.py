"""The AlexNets of the VISSL zoo: supervised, jigsaw, colorization, DeepCluster and RotNet.

Names as in https://github.com/facebookresearch/vissl: numbered blocks of five convolutions, each net with its own
padding, strides and norms, which `KINDS` lists and shapes tell apart. The catches: the order of pooling and local
response norm; jigsaw's first stride, 2 where it is 4 elsewhere; the Sobel filter before DeepCluster's; and their input:
colorization takes lightness alone, the supervised net pixels of 0..255, which cards say in [input]. Feature and map are
those of the fifth convolution, before the last pooling.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

INPUT: Mapping[str, Any] = {"size": (227, 227), "resize": "short", "resize_to": 256, "interpolation": "bilinear"}
POOLINGS = ("gap",)
CONTAINERS = ("classy_state_dict.base_model.model.trunk", "model_state_dict")
PREFIXES = ("module.",)
DROPPED = ("fc.",)


@dataclasses.dataclass(frozen=True)
class Kind:
    """What tells one AlexNet from another."""

    widths: tuple[int, ...] = (96, 256, 384, 384, 256)
    channels: int = 3
    stride: int = 4
    padding: int = 0
    groups: int = 2
    """Of the second, fourth and fifth convolution."""
    normed: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Convolutions behind which batch norm stands."""
    response_norm: str = ""
    """Whether a local response norm stands before or behind the first two poolings."""


KINDS = {
    "supervised": Kind(normed=(), response_norm="before"),
    "jigsaw": Kind(stride=2, normed=(2, 3, 4), response_norm="behind"),
    "colorization": Kind(channels=1),
    "deepcluster": Kind(channels=2, padding=2, groups=1),
    "rotnet": Kind(widths=(64, 192, 384, 256, 256), padding=2, groups=1),
}


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Number the blocks; DeepCluster's filter is beside them."""
    return {key.removeprefix("_feature_blocks."): tensor for key, tensor in state.items()}


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return which of the five networks the file holds."""
    first = state["0.0.weight"]  # (width, channels, 11, 11)
    if first.shape[0] == 64:
        return {"kind": "rotnet"}
    if first.shape[1] < 3:
        return {"kind": "colorization" if first.shape[1] == 1 else "deepcluster"}
    return {"kind": "jigsaw" if "4.1.running_mean" in state else "supervised"}


def build(kind: str = "jigsaw") -> nn.Module:
    """Return the untrained network; raise ValueError if there is no such kind."""
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}")
    return AlexNet(KINDS[kind])


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the map of the fifth convolution (256 channels, about 1/16 of the image, 1/8 for jigsaw) and its mean."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class AlexNet(nn.Sequential):
    """Images (n, 3, height, width) to the map of the fifth convolution; colorization takes the first channel alone."""

    def __init__(self, kind: Kind) -> None:
        blocks = [_convolution(kind, place) for place in range(5)]
        first, second, third, fourth, fifth = blocks
        super().__init__(first, _pooling(kind), second, _pooling(kind), third, fourth, fifth)
        self.channels = kind.channels
        if kind.channels == 2:
            self.sobel = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 2, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        x: Tensor = self.sobel(images) if self.channels == 2 else images[:, : self.channels]
        for place in range(7):
            x = self[place](x)
        return x


def _convolution(kind: Kind, place: int) -> nn.Sequential:
    inputs = (kind.channels, *kind.widths)[place]
    outputs, kernel = kind.widths[place], (11, 5, 3, 3, 3)[place]
    stride, padding = (kind.stride, kind.padding) if place == 0 else (1, kernel // 2)
    groups = kind.groups if place in (1, 3, 4) else 1
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups)]
    layers += [nn.BatchNorm2d(outputs)] if place in kind.normed else []
    return nn.Sequential(*layers, nn.ReLU())


def _pooling(kind: Kind) -> nn.Module:
    pool, norm = nn.MaxPool2d(3, stride=2), nn.LocalResponseNorm(5)
    if not kind.response_norm:
        return pool
    return nn.Sequential(norm, pool) if kind.response_norm == "before" else nn.Sequential(pool, norm)
