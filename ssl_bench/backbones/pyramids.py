"""Maps of an image at several resolutions, from any backbone, for heads that look for things of all sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork

from ssl_bench.backbones import grids, stages
from ssl_bench.backbones.base import Backbone

STRIDES = (4, 8, 16, 32)
"""Pixels that a row of each level stands for."""


class Pyramid(nn.Module):
    """Normalised images to maps of `channels` values at the strides 4, 8, 16 and 32, called "0" to "3".

    A network whose stages have these strides has them joined by torchvision's feature pyramid network. Of all others
    the one last map is brought to each by deconvolutions or pooling, a 1x1 and a 3x3 convolution: the simple feature
    pyramid of ViTDet (Li et al. 2022, https://arxiv.org/abs/2203.16527; modeling/backbone/vit.py of
    https://github.com/facebookresearch/detectron2); where its stride is no power of two, as that of patches of 14
    pixels, images are scaled by the ratio to the nearest, so that levels have these strides all the same.

    The backbone is no part of this module: whoever holds it trains, moves and saves its parameters.
    """

    def __init__(self, backbone: Backbone, channels: int = 256) -> None:
        super().__init__()
        self.channels = channels
        self._backbone = [backbone]  # in a list, which torch does not look into
        self._step = grids.stride(backbone)
        self._nearest = min(max(2 ** round(math.log2(self._step)), 1), STRIDES[-1])
        self._stages = stages_on_strides(backbone)
        self.joined: nn.Module | None = None
        if self._stages:
            self.joined = FeaturePyramidNetwork([width for _, width in self._stages], channels)
        else:
            width = grids.dim(backbone)
            self.levels = nn.ModuleList(_level(width, channels, doublings) for doublings in _doublings(self._nearest))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return the levels (images, channels, rows, columns) of images (images, channels, height, width).

        Sides that are no multiples of 32 are padded with zeros behind.
        """
        backbone = self._backbone[0]
        more = [-side % STRIDES[-1] for side in images.shape[2:]]
        padded = functional.pad(images, (0, more[1], 0, more[0]))
        height, width = padded.shape[2:]
        if self.joined is not None:
            taken = stages.of(backbone, padded, [index for index, _ in self._stages])
            joined: dict[str, Tensor] = self.joined({str(level): one for level, one in enumerate(taken)})
            return joined
        rows, columns = height // self._nearest, width // self._nearest
        if self._step != self._nearest:
            size = (rows * self._step, columns * self._step)
            padded = functional.interpolate(padded, size=size, mode="bilinear", antialias=True)
        last = grids.final(backbone, padded)
        if last.shape[2:] != (rows, columns):  # of convolutions without padding
            last = functional.interpolate(last, size=(rows, columns), mode="bilinear", align_corners=False)
        return {str(level): layer(last) for level, layer in enumerate(self.levels)}


def stages_on_strides(backbone: Backbone) -> list[tuple[int, int]]:
    """Return number and width of the stages that have the four STRIDES; nothing where any has none."""
    if stages.is_plain(backbone) or backbone.network is None:
        return []
    with torch.no_grad():
        every = stages.every(backbone, blank := grids.blank(backbone))
    # A side that is no multiple of 32 has a last row that stands for less.
    rows = [max(1, blank.shape[2] // stride) for stride in STRIDES]
    found = {
        stride: (index, one.shape[1])
        for index, one in enumerate(every)
        for stride, least in zip(STRIDES, rows, strict=True)
        if one.shape[2] in (least, -(-blank.shape[2] // stride))
    }
    return [found[stride] for stride in STRIDES] if set(STRIDES) <= set(found) else []


def _doublings(step: int) -> Sequence[int]:
    """Return how often a map of stride `step` is doubled, or halved if negative, for each level."""
    return [round(math.log2(step / stride)) for stride in STRIDES]


def _level(width: int, channels: int, doublings: int) -> nn.Sequential:
    """Return what makes one level of the last map."""
    parts: list[nn.Module] = []
    for number in range(doublings):
        parts += [nn.ConvTranspose2d(width, width // 2, 2, stride=2)]
        width //= 2
        if number < doublings - 1:
            parts += [LayerNorm(width), nn.GELU()]
    parts += [nn.MaxPool2d(2, 2) for _ in range(-doublings)]
    for kernel, inputs in ((1, width), (3, channels)):
        parts += [nn.Conv2d(inputs, channels, kernel, padding=kernel // 2, bias=False), LayerNorm(channels)]
    return nn.Sequential(*parts)


class LayerNorm(nn.Module):
    """Norm over the channels of each place of maps (images, channels, rows, columns)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, found: Tensor) -> Tensor:
        normed: Tensor = functional.layer_norm(
            found.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6
        )
        return normed.permute(0, 3, 1, 2)
