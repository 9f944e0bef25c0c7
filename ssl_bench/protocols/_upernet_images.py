"""Images and masks as mmsegmentation prepares them, resized by OpenCV as there: other filters move the numbers.

The draws are those of its RandomResize, RandomCrop, RandomFlip and PhotoMetricDistortion, from a generator that belongs
to the image and not from one that threads share.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.targets import VOID, Mask

Image = NDArray[np.uint8]
"""(height, width, 3), RGB, or (height, width)."""
RATIOS = (0.5, 2.0)
"""Between which a training image's size is drawn, as multiples of the crop."""
LONGEST = 4
"""Crops that the long side of an image may take, whatever its short side then has."""
MOST = 0.75
"""Share of a crop that one class may have; after TRIES the crop is taken as it is."""
TRIES = 10
FLIP = 0.5
BRIGHTNESS, CONTRAST, SATURATION, HUE = 32, (0.5, 1.5), (0.5, 1.5), 18
"""What colours are distorted by, each with probability 1/2; the hue, of 180."""


@dataclasses.dataclass(frozen=True, eq=False)
class Crop:
    """An image for the network before normalisation, from the upper left corner of a square; the rest is padding."""

    pixels: Image  # (channels, side, side)
    inside: tuple[int, int]
    """Height and width of the image in it."""
    labels: NDArray[np.uint8]  # (side, side): VOID in the padding
    size: tuple[int, int]
    """Height and width of the image as its source keeps it."""


def trained(image: Image, target: Mask, draws: np.random.Generator, side: int) -> Crop:
    """Return a random crop of an image at a random size, flipped and recoloured, and of its mask."""
    import mmcv

    size = scaled(image.shape[:2], side, draws.uniform(*RATIOS))
    image = mmcv.imresize(image, size[::-1], interpolation="bilinear")
    labels = mmcv.imresize(target.labels, size[::-1], interpolation="nearest")
    top, left = _corner(labels, side, draws)
    image, labels = (part[top : top + side, left : left + side] for part in (image, labels))
    if draws.random() < FLIP:
        image, labels = image[:, ::-1], labels[:, ::-1]
    return _padded(recoloured(image, draws) if image.ndim == 3 else image, labels, side, target.size)


def evaluated(image: Image, side: int) -> Crop:
    """Return a whole image whose short side is as long as a crop's, padded where the long one is cut to LONGEST."""
    import mmcv

    size = scaled(image.shape[:2], side)
    resized = mmcv.imresize(image, size[::-1], interpolation="bilinear")
    return _padded(resized, np.zeros(size, dtype=np.uint8), side, image.shape[:2])


def scaled(size: tuple[int, ...], side: int, ratio: float = 1.0) -> tuple[int, int]:
    """Return height and width of an image whose short side becomes `side * ratio`, and the long one no longer than
    LONGEST times that."""
    short, long = int(side * ratio), int(LONGEST * side * ratio)
    factor = min(long / max(size), short / min(size))
    return max(1, int(size[0] * factor + 0.5)), max(1, int(size[1] * factor + 0.5))


def _corner(labels: NDArray[np.uint8], side: int, draws: np.random.Generator) -> tuple[int, int]:
    """Return the upper left corner of a crop in which no class has more than MOST, if TRIES draws find one."""
    margins = [max(length - side, 0) for length in labels.shape]
    for number in range(TRIES + 1):
        top, left = (int(draws.integers(0, margin + 1)) for margin in margins)
        counts = np.bincount(labels[top : top + side, left : left + side].ravel(), minlength=VOID + 1)[:VOID]
        if number == TRIES or (np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < MOST):
            break
    return top, left


def recoloured(image: Image, draws: np.random.Generator) -> Image:
    """Return an image (height, width, 3) with other brightness, contrast, saturation and hue."""
    if draws.integers(2):
        image = _changed(image, plus=draws.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast_first = draws.integers(2)
    if contrast_first and draws.integers(2):
        image = _changed(image, times=draws.uniform(*CONTRAST))
    if draws.integers(2):
        hue, saturation, value = _hsv(image)
        image = _rgb(hue, _changed(saturation, times=draws.uniform(*SATURATION)), value)
    if draws.integers(2):
        hue, saturation, value = _hsv(image)
        image = _rgb((hue.astype(int) + draws.integers(-HUE, HUE)) % 180, saturation, value)
    if not contrast_first and draws.integers(2):
        image = _changed(image, times=draws.uniform(*CONTRAST))
    return image


def _changed(values: Image, times: float = 1.0, plus: float = 0.0) -> Image:
    changed: Image = np.clip(values.astype(np.float32) * times + plus, 0, 255).astype(np.uint8)
    return changed


def _hsv(image: Image) -> Image:
    """Return hue, of 180, saturation and value: (3, height, width)."""
    import mmcv

    found: Image = mmcv.bgr2hsv(np.ascontiguousarray(image[..., ::-1]))
    return np.moveaxis(found, 2, 0)


def _rgb(*hsv: NDArray[Any]) -> Image:
    import mmcv

    found: Image = mmcv.hsv2bgr(np.stack(hsv, axis=2).astype(np.uint8))
    return found[..., ::-1]


def _padded(image: Image, labels: NDArray[np.uint8], side: int, size: tuple[int, ...]) -> Crop:
    """Return an image, at least `side` high and wide, with its channels first; labels are padded with VOID."""
    height, width = image.shape[:2]
    more = (0, max(0, side - height)), (0, max(0, side - width))
    image = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    pixels: Any = np.pad(image, ((0, 0), *more))
    return Crop(pixels, (height, width), np.pad(labels, more, constant_values=VOID), (int(size[0]), int(size[1])))
