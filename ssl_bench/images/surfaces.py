"""Training crops of an image together with the distances, or the normals, of its pixels.

The steps and their order are those of DINOv3's depth estimation (dinov3/eval/depth/transforms.py of
https://github.com/facebookresearch/dinov3): a small turn, a flip, a crop, and changed colours. The image is turned
bilinearly, its distances by the nearest pixel; what comes in from outside is black and unknown. Mirrored normals point
the other way across; normals are not turned, since their sources do not agree on which way is up.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class SurfaceAugmentation:
    """How a crop is drawn; the defaults are those of DINOv3's recipe for NYU."""

    crop: tuple[int, int] = (416, 544)
    """Height and width, less where the image is smaller."""
    turn: float = 2.5
    """Most degrees that an image is turned, either way; one in two is. 0 for normals."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    recolour: float = 0.5
    """Probability that gamma, brightness and the balance of colours are changed."""
    gamma: float = 0.1
    """Most that the exponent of pixels of 0 to 255 is off 1."""
    brightness: float = 0.25
    """Most that the factor of all pixels is off 1."""
    balance: float = 0.1
    """Most that each colour's own factor is off 1."""


def cropped(
    image: NDArray[np.uint8], known: Floats, how: SurfaceAugmentation, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], Floats]:
    """Return a random crop of an image, uint8 (channels, height, width), and what is known of its pixels.

    `known` is (height, width), distances, or (height, width, 3), normals, with 0 where nothing is; so is what comes
    back of it.
    """
    if generator.random() < 0.5 and how.turn:
        image, known = turned(image, known, float(generator.uniform(-how.turn, how.turn)))
    if generator.random() < how.flip:
        image, known = mirrored(image, known)
    height, width = (min(crop, side) for crop, side in zip(how.crop, image.shape[:2], strict=True))
    top = int(generator.integers(0, image.shape[0] - height + 1))
    left = int(generator.integers(0, image.shape[1] - width + 1))
    shown = image[top : top + height, left : left + width]
    if generator.random() < how.recolour:
        shown = recoloured(shown, how, generator)
    channels = shown[None] if shown.ndim == 2 else shown.transpose(2, 0, 1)
    return np.ascontiguousarray(channels), known[top : top + height, left : left + width].copy()


def mirrored(image: NDArray[np.uint8], known: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Return the image and what is known of it, the left on the right."""
    known = known[:, ::-1]
    return image[:, ::-1], known if known.ndim == 2 else known * np.array([-1, 1, 1], dtype=np.float32)


def turned(image: NDArray[np.uint8], known: Floats, degrees: float) -> tuple[NDArray[np.uint8], Floats]:
    """Return the image and its distances (height, width), turned anticlockwise about the middle, in the same size."""
    from PIL import Image

    shown = Image.fromarray(image).rotate(degrees, Image.Resampling.BILINEAR)
    return np.asarray(shown), np.asarray(Image.fromarray(known).rotate(degrees, Image.Resampling.NEAREST))


def recoloured(image: NDArray[np.uint8], how: SurfaceAugmentation, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image (height, width) or (height, width, 3) to a power of about 1, times a factor of about 1, and each
    colour times one of its own: cut to 0 … 255."""

    def near_one(most: float, count: int | None = None) -> Any:
        return generator.uniform(1 - most, 1 + most, count)

    changed = image.astype(np.float32) ** np.float32(near_one(how.gamma)) * np.float32(near_one(how.brightness))
    changed = changed * near_one(how.balance, image.shape[2] if image.ndim == 3 else None)
    found: NDArray[np.uint8] = np.clip(changed + 0.5, 0, 255).astype(np.uint8)
    return found
