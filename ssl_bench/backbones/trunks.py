"""What of a backbone of any kind stands in a detector: its last map, its four stages, or a ResNet cut before its last.

Each takes over a backbone that is nobody else's and holds its network. `windowed` has the fourth way.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.backbones import grids, pyramids, stages
from ssl_bench.backbones.base import Backbone
from ssl_bench.errors import UsageError

STRIDE = 16
"""Pixels that a row of one map stands for."""


class OwnMap(nn.Module):
    """Normalised images, sides multiples of 16, to the network's last map at stride 16: (images, width, rows, columns).

    A map of another power of two is averaged or interpolated to that. Where the stride is none, as that of patches of
    14 pixels, images are scaled so that their map has as many rows.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network, self._backbone = backbone.network, [backbone]  # in a list, which torch does not look into
        self.width, self._step = grids.dim(backbone), grids.stride(backbone)

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = (side // STRIDE for side in images.shape[2:])
        if not math.log2(self._step).is_integer():
            size = (rows * self._step, columns * self._step)
            images = functional.interpolate(images, size=size, mode="bilinear", antialias=True)
        found = grids.final(self._backbone[0], images)
        if found.shape[2] > rows:
            return functional.adaptive_avg_pool2d(found, (rows, columns))
        if found.shape[2:] != (rows, columns):
            return functional.interpolate(found, size=(rows, columns), mode="bilinear", align_corners=False)
        return found


class Staged(nn.Module):
    """Normalised images to the maps of the four stages of the strides 4, 8, 16 and 32.

    Raises UsageError for a network without them.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.network, self._backbone = backbone.network, [backbone]
        self._stages = pyramids.stages_on_strides(backbone)
        if not self._stages:
            raise UsageError(
                f"{grids.named(backbone)} has no stages of the strides 4, 8, 16 and 32, which a feature pyramid joins; "
                "ask for detection_vitdet, or detection_vitdet,attention=own"
            )
        self.widths = [width for _, width in self._stages]

    def forward(self, images: Tensor) -> list[Tensor]:
        return stages.of(self._backbone[0], images, [index for index, _ in self._stages])


class Cut(nn.Module):
    """A ResNet in two: normalised images to the map before its last stage, and `upper`, that stage.

    Raises UsageError for a network that is no chain of parts ending in `layer4`.
    """

    stride: int
    """Pixels that a row of the map stands for."""
    widths: tuple[int, int]
    """Channels of the map, and of what the last stage makes of it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        network: Any = backbone.network
        upper = getattr(network, "layer4", None)
        if not isinstance(upper, nn.Module):
            raise _uncut(backbone)
        names = [name for name, _ in network.named_children()]
        self.parts = nn.Sequential(*(getattr(network, name) for name in names[: names.index("layer4")]))
        blank = grids.blank(backbone)
        with torch.no_grad():
            expected = _given_to(upper, backbone, blank)
            try:
                found = self.parts(blank)
            except (RuntimeError, TypeError) as error:
                raise _uncut(backbone) from error
            if expected.shape != found.shape or not torch.allclose(expected, found, atol=1e-4):
                raise _uncut(backbone)
            self.widths = (found.shape[1], upper(found).shape[1])
        self.stride = round(blank.shape[2] / found.shape[2])
        if found.shape[2] * self.stride != blank.shape[2] or not math.log2(self.stride).is_integer():
            raise _uncut(backbone)
        self.upper = [upper]  # which stands elsewhere in the detector

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.parts(images)
        return found


def _given_to(part: nn.Module, backbone: Backbone, images: Tensor) -> Tensor:
    """Return what a part of the network is given while the whole looks at images."""
    seen: list[Tensor] = []
    handle = part.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        backbone.forward(images, backbone.default_pooling)
    finally:
        handle.remove()
    if not seen:
        raise _uncut(backbone)
    return seen[0]


def _uncut(backbone: Backbone) -> UsageError:
    return UsageError(
        f"{grids.named(backbone)} is no ResNet that could be cut before its last stage, layer4; ask for detection_fpn, "
        "or detection_vitdet for a vision transformer"
    )
