"""Training crops of an image together with the classes of its pixels.

The steps and their order are those of DINOv3's linear segmentation (dinov3/eval/segmentation/transforms.py of
https://github.com/facebookresearch/dinov3), which are mmsegmentation's: a random scale, a crop in which no class
prevails, a flip, and changed colours. Both an image and its mask are scaled to the same size, the image bilinearly and
antialiased, the mask by the pixel at a corner, as theirs, and the same part is cut from both.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.images import _part_of_resized
from ssl_bench.targets import VOID

if TYPE_CHECKING:
    from torch import Tensor

TRIES = 10
"""Crops that are drawn anew where one class prevails; the last is then taken as it is."""
LONGEST = 16
"""No side grows beyond so many times the length that the short one is to have."""
CHANGE = 0.5
"""Probability of each change of brightness, contrast, saturation and hue."""


@dataclasses.dataclass(frozen=True)
class JointAugmentation:
    """How a crop is drawn; the defaults are those of DINOv3's recipe for ADE20K."""

    size: int = 512
    """Length of the short side, times what is drawn from `scale`."""
    crop: int = 512
    """Height and width of the crop, which is smaller where the image is."""
    scale: tuple[float, float] = (0.5, 2.0)
    prevails: float = 0.75
    """Share of a crop's counted pixels that one class must stay below."""
    flip: float = 0.5
    """Probability of a horizontal flip."""
    distort: bool = True
    """False leaves the colours alone."""
    brightness: float = 32.0
    """Most that is added to pixels of 0 to 255, or taken from them."""
    contrast: tuple[float, float] = (0.5, 1.5)
    saturation: tuple[float, float] = (0.5, 1.5)
    hue: float = 0.5
    """Of the whole circle, either way; mmsegmentation turns it by 0.1."""


def short_sized(size: tuple[int, int], short: int) -> tuple[int, int]:
    """Return height and width with a short side of `short`, the long rounded to the nearest pixel."""
    least, most = min(size), max(size)
    other = min(int(short * most / least + 0.5), LONGEST * short)
    return (other, short) if size[0] > size[1] else (short, other)


def resized(
    image: NDArray[np.uint8], size: tuple[int, int], part: tuple[int, int, int, int] | None = None
) -> NDArray[np.uint8]:
    """Return an image (height, width) or (height, width, 3) scaled to `size`, or a part (top, left, height, width) of
    that: uint8 (channels, height, width)."""
    return _part_of_resized(image, size, "bilinear", part or (0, 0, *size))


def labels_resized(labels: NDArray[np.uint8], size: tuple[int, int], *, from_middles: bool = True) -> NDArray[np.uint8]:
    """Return labels (height, width) scaled to `size`, each pixel the old one that its middle falls into, as Pillow; or
    else the one that its upper left corner falls into, as torch and OpenCV, half a pixel aside."""
    shift = np.float32(0.5 if from_middles else 0.0)
    rows, columns = (
        ((np.arange(new, dtype=np.float32) + shift) * np.float32(old / new)).astype(np.int64).clip(0, old - 1)
        for new, old in zip(size, labels.shape, strict=True)
    )
    found: NDArray[np.uint8] = labels[rows[:, None], columns]
    return found


def cropped(
    image: NDArray[np.uint8], labels: NDArray[np.uint8], how: JointAugmentation, generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a random crop of an image, uint8 (channels, height, width), and its labels (height, width).

    Both sides are `how.crop` or, where the scaled image is smaller, the image's.
    """
    low, high = how.scale
    size = short_sized((image.shape[0], image.shape[1]), max(1, int(how.size * generator.uniform(low, high))))
    scaled = labels_resized(labels, size, from_middles=False)  # as those that wrote the recipe
    top, left, height, width = _part(scaled, how, generator)
    said = scaled[top : top + height, left : left + width]
    shown = resized(image, size, (top, left, height, width))
    if generator.random() < how.flip:
        shown, said = shown[..., ::-1], said[..., ::-1]
    if how.distort:
        shown = distorted(shown, how, generator)
    return np.ascontiguousarray(shown), np.ascontiguousarray(said)


def _part(
    labels: NDArray[np.uint8], how: JointAugmentation, generator: np.random.Generator
) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a crop that shows two classes or more, none of which prevails."""
    height, width = (min(how.crop, side) for side in labels.shape)

    def draw() -> tuple[int, int]:
        top = int(generator.integers(0, labels.shape[0] - height + 1))
        return top, int(generator.integers(0, labels.shape[1] - width + 1))

    top, left = draw()
    for _ in range(TRIES if how.prevails < 1 else 0):
        counts = np.bincount(labels[top : top + height, left : left + width].ravel(), minlength=VOID + 1)[:VOID]
        if np.count_nonzero(counts) > 1 and counts.max() < how.prevails * counts.sum():
            break
        top, left = draw()
    return top, left, height, width


def distorted(image: NDArray[np.uint8], how: JointAugmentation, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return an image (channels, height, width) in other colours: brightness, contrast, saturation and hue are each
    changed or not, contrast before saturation or after hue. Grey images have neither saturation nor hue."""
    from torchvision.transforms import functional

    def chosen() -> bool:
        return bool(generator.random() < CHANGE)

    def contrasted(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return _shifted(image, generator.uniform(*how.contrast), 0.0) if chosen() else image

    if chosen():
        image = _shifted(image, 1.0, generator.uniform(-how.brightness, how.brightness))
    first = chosen()
    image = contrasted(image) if first else image
    if image.shape[0] == 3 and chosen():
        image = functional.adjust_saturation(_tensor(image), generator.uniform(*how.saturation)).numpy()
    if image.shape[0] == 3 and how.hue and chosen():
        image = functional.adjust_hue(_tensor(image), generator.uniform(-how.hue, how.hue)).numpy()
    return image if first else contrasted(image)


def _shifted(image: NDArray[np.uint8], factor: float, more: float) -> NDArray[np.uint8]:
    """Return factor · image + more, cut to 0 … 255 and to whole numbers."""
    changed: NDArray[np.uint8] = np.clip(image.astype(np.float32) * factor + more, 0, 255).astype(np.uint8)
    return changed


def _tensor(image: NDArray[np.uint8]) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(image))


def together(parts: list[Tensor], side: tuple[int, int], fill: float) -> Tensor:
    """Return arrays (…, height, width) of one kind as one (parts, …, *side), `fill` behind the smaller ones."""
    from torch import stack
    from torch.nn import functional

    return stack(
        [functional.pad(part, (0, side[1] - part.shape[-1], 0, side[0] - part.shape[-2]), value=fill) for part in parts]
    )
