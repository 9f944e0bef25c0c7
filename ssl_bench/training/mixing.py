"""Mixup and CutMix over a step's whole batch, although only parts of it are in memory.

The image at place i of a batch of b is mixed with the one at b - 1 - i, as timm.data.Mixup does in its mode "batch";
one share and one box hold for the batch, and are drawn from the seed and the step. Parts keep partners side by side.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from ssl_bench.errors import UsageError
from ssl_bench.training.base import Mix

if TYPE_CHECKING:
    from torch import Tensor


def places(batch: int, rank: int, world: int) -> list[int]:
    """Return a process's places of a batch, each followed by its partner; of an odd batch the middle has none.

    Raises UsageError, in every process, where one of them would have none.
    """
    pairs = -(-batch // 2)
    if pairs < world:
        raise UsageError(f"a batch of {batch} images is too small for {world} processes, which take pairs")
    own = range(rank * pairs // world, (rank + 1) * pairs // world)
    return [place for first in own for place in dict.fromkeys((first, batch - 1 - first))]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """How one batch is mixed."""

    share: float = 1.0
    """Of an image itself, and of its label; the partner has the rest."""
    box: tuple[int, int, int, int] | None = None
    """Top, bottom, left and right, in pixels, of what CutMix takes from the partner; None: mixup."""


def draw(mix: Mix, seed: int, step: int, height: int, width: int) -> Drawn:
    """Return how the batch of a step is mixed; images are height x width pixels."""
    generator = np.random.default_rng([seed, step])
    if generator.random() >= mix.probability:
        return Drawn()
    cut = mix.cutmix > 0 and (mix.mixup <= 0 or generator.random() < mix.switch)
    alpha = mix.cutmix if cut else mix.mixup
    share = float(generator.beta(alpha, alpha))
    return _cut(share, generator, height, width) if cut else Drawn(share)


def _cut(share: float, generator: np.random.Generator, height: int, width: int) -> Drawn:
    """Return a box of about 1 - share of the area around a point of the image; what lies outside is cut off."""
    ratio = math.sqrt(1 - share)
    top, left = (int(generator.integers(size)) - int(size * ratio) // 2 for size in (height, width))
    bottom, right = top + int(height * ratio) // 2 * 2, left + int(width * ratio) // 2 * 2
    box = max(top, 0), min(bottom, height), max(left, 0), min(right, width)
    return Drawn(1 - (box[1] - box[0]) * (box[3] - box[2]) / (height * width), box)


def partners(part: Tensor) -> Tensor:
    """Return what stands at the partners' places (part, …) of a part of a batch; the middle is its own partner."""
    import torch

    order = torch.arange(len(part), device=part.device)
    return part[(order ^ 1).clamp(max=len(part) - 1)]


def mixed(images: Tensor, drawn: Drawn) -> Tensor:
    """Return images (part, channels, height, width) mixed with their partners."""
    if drawn.box is None:
        return images * drawn.share + partners(images) * (1 - drawn.share)
    top, bottom, left, right = drawn.box
    images = images.clone()
    images[:, :, top:bottom, left:right] = partners(images[:, :, top:bottom, left:right])
    return images
