"""Maps of an image's parts from any backbone and of images of any size, for heads that answer for every pixel.

A map's row stands for `stride` pixels. Images whose sides are no multiples of it are padded with zeros, which is the
mean of normalised pixels, as much before as behind (DINOv2's CenterPadding, dinov2/hub/utils.py of
https://github.com/facebookresearch/dinov2), or resized to the nearest multiple; `spread` brings what is said of a map
back to the image's pixels. Tokens of no place, cls and registers, are in no map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor
from torch.nn import functional

from ssl_bench.backbones import stages
from ssl_bench.backbones.base import Backbone
from ssl_bench.backbones.grids import dim as dim
from ssl_bench.backbones.grids import final as final
from ssl_bench.backbones.grids import stride as stride
from ssl_bench.backbones.pyramids import Pyramid as Pyramid

Fit = Literal["pad", "resize"]
"""How an image whose sides are no multiples of the stride comes to have such."""


def maps(
    backbone: Backbone, images: Tensor, layers: Sequence[int] = (-1,), *, norm: bool = True, fit: Fit = "pad"
) -> list[Tensor]:
    """Return, of normalised images (images, channels, height, width), each layer's map (images, dim, rows, columns).

    Layers count from 0 or, negative, from the end: blocks of plain transformers, whose maps pass the final norm where
    `norm` says so, and stages of all others; -1 is the map that the model's own features are pooled from. The maps
    cover the padded or resized image; they have gradients where parameters of the network do. Raises UsageError naming
    the model where it has no maps, or takes no image of this size.
    """
    fitted = fitted_to(images, stride(backbone), fit)
    found = {-1: final(backbone, fitted)} if -1 in layers and (norm or not stages.is_plain(backbone)) else {}
    if others := sorted(set(layers) - set(found)):
        found |= dict(zip(others, stages.of(backbone, fitted, others, norm=norm), strict=True))
    return [found[layer] for layer in layers]


def padding(size: tuple[int, int], step: int) -> tuple[int, int, int, int]:
    """Return the rows and columns to add to an image of this height and width: left, right, top, bottom."""
    more = [-side % step for side in size]
    return more[1] // 2, more[1] - more[1] // 2, more[0] // 2, more[0] - more[0] // 2


def fitted_to(images: Tensor, step: int, fit: Fit = "pad") -> Tensor:
    """Return images (images, channels, height, width) whose sides are multiples of `step`."""
    height, width = images.shape[2:]
    if height % step == 0 and width % step == 0:
        return images
    if fit == "pad":
        return functional.pad(images, padding((height, width), step))
    size = [max(1, round(side / step)) * step for side in (height, width)]
    return functional.interpolate(images, size=size, mode="bilinear", antialias=True)


def spread(found: Tensor, size: tuple[int, int], step: int, fit: Fit = "pad") -> Tensor:
    """Return what is said of a map (images, channels, rows, columns) for the pixels of images of this height and width:
    (images, channels, height, width), bilinear between the places' middles."""
    if fit == "resize":
        return functional.interpolate(found, size=size, mode="bilinear", align_corners=False)
    left, right, top, bottom = padding(size, step)
    whole = (size[0] + top + bottom, size[1] + left + right)
    wide = functional.interpolate(found, size=whole, mode="bilinear", align_corners=False)
    return wide[:, :, top : top + size[0], left : left + size[1]]


def windows(size: tuple[int, int], window: tuple[int, int], step: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the upper left corners (top, left) of windows that cover an image of this height and width.

    They are `step` apart, the last flush with the edge; a window as large as the image or larger stands at 0. As
    `slide_inference` of https://github.com/open-mmlab/mmsegmentation and DINOv3's.
    """
    every = []
    for side, part, far in zip(size, window, step, strict=True):
        count = max(side - part + far - 1, 0) // far + 1
        every.append([max(0, min(number * far, side - part)) for number in range(count)])
    return [(top, left) for top in every[0] for left in every[1]]
