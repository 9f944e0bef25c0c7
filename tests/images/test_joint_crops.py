"""Training crops of an image and its mask: both the same part, no class prevails, and colours as torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional
from torchvision.transforms import functional as pictures

from ssl_bench.images.dense import (
    JointAugmentation,
    cropped,
    distorted,
    labels_resized,
    resized,
    short_sized,
    together,
)
from ssl_bench.targets import VOID

PLAIN = JointAugmentation(64, 64, distort=False)


class Told:
    """A generator that says what it is told, in turn."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def random(self) -> float:
        return self.values.pop(0)

    def uniform(self, low: float, high: float) -> float:
        value = self.values.pop(0)
        assert low <= value <= high
        return value

    def integers(self, low: int, high: int) -> int:
        value = int(self.values.pop(0))
        assert low <= value < high
        return value


def told(*values: float) -> Any:
    return Told(*values)


def picture(height: int = 90, width: int = 130) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 2 % 256, rows * 3 % 256, (rows + columns) % 256], axis=2).astype(np.uint8)


def blocks(height: int = 90, width: int = 130) -> NDArray[np.uint8]:
    """A mask of six classes in blocks of ten pixels."""
    rows, columns = np.mgrid[:height, :width]
    return ((rows // 10 + 2 * (columns // 10)) % 6).astype(np.uint8)


@pytest.mark.parametrize(("factor", "corner", "flip"), [(1.5, (7, 30), 0.1), (0.7, (0, 0), 0.9), (0.5, (0, 0), 0.1)])
def test_an_image_and_its_mask_are_cut_alike(factor: float, corner: tuple[int, int], flip: float) -> None:
    """A crop is the part of Pillow's bilinear image and of torch's nearest labels that was drawn, flipped or not."""
    image, labels = picture(), blocks()
    short = int(64 * factor)
    size = (short, int(short * 130 / 90 + 0.5))
    top, left = corner
    shown, said = cropped(image, labels, PLAIN, told(factor, top, left, flip))
    wide = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    near = functional.interpolate(torch.from_numpy(labels)[None, None].float(), size=size, mode="nearest")[0, 0]
    part = slice(top, top + 64), slice(left, left + 64)
    wanted, marked = wide[(slice(None), *part)], near.numpy().astype(np.uint8)[part]
    if flip < 0.5:
        wanted, marked = wanted[..., ::-1], marked[..., ::-1]
    np.testing.assert_array_equal(shown, wanted)
    np.testing.assert_array_equal(said, marked)


def test_a_crop_of_one_class_is_drawn_anew() -> None:
    """A crop in which a class has three quarters of the counted pixels is not taken while there are tries left; pixels
    that count for no class are not counted; after ten tries the next is taken as it is."""
    labels = np.zeros((64, 128), np.uint8)
    labels[:, 96:] = 1
    labels[32:, 96:] = VOID
    image = np.zeros((64, 128, 3), np.uint8)
    how = JointAugmentation(64, 64, (1.0, 1.0), flip=0.0, distort=False)
    # at 0 one class, at 58 of 2,432 zeros and 832 ones a share of 0.745, at 57 of 2,496 and 800 one of 0.757
    _, said = cropped(image, labels, how, told(1.0, 0, 0, 0, 57, 0, 58, 0.9))
    assert (said == 0).sum() == 38 * 64
    _, said = cropped(image, labels, how, told(1.0, *[0, 0] * 10, 0, 3, 0.9))
    assert (said == 0).all()


def test_colours_change_as_torchvisions_do() -> None:
    """Brightness, contrast, saturation and hue follow one another, contrast first or last; each may be left out."""
    image = picture().transpose(2, 0, 1)
    yes, no = 0.2, 0.8

    def shifted(values: NDArray[Any], factor: float = 1.0, more: float = 0.0) -> NDArray[np.uint8]:
        return np.clip(np.float32(values) * np.float32(factor) + np.float32(more), 0, 255).astype(np.uint8)

    def recoloured(values: NDArray[np.uint8], saturation: float, hue: float) -> NDArray[np.uint8]:
        found = pictures.adjust_saturation(torch.from_numpy(values), saturation)
        return np.asarray(pictures.adjust_hue(found, hue))

    how = JointAugmentation()
    first = distorted(image, how, told(yes, 20.0, yes, yes, 1.3, yes, 0.6, yes, -0.4))
    np.testing.assert_array_equal(first, recoloured(shifted(shifted(image, more=20.0), 1.3), 0.6, -0.4))
    last = distorted(image, how, told(no, no, yes, 0.6, yes, -0.4, yes, 1.3))
    np.testing.assert_array_equal(last, shifted(recoloured(image, 0.6, -0.4), 1.3))
    np.testing.assert_array_equal(distorted(image, how, told(no, no, no, no, no)), image)
    grey = image[:1]
    np.testing.assert_array_equal(
        distorted(grey, how, told(yes, -9.0, no, yes, 0.7)), shifted(shifted(grey, 1, -9), 0.7)
    )


def test_sizes_and_scaled_masks() -> None:
    """The long side is rounded to the nearest pixel, and no side is longer than 16 times the short one's new length;
    labels between are those of Pillow."""
    assert short_sized((90, 131), 64) == (64, 93)
    assert short_sized((131, 90), 64) == (93, 64)
    assert short_sized((50, 50), 64) == (64, 64)
    assert short_sized((1, 5000), 64) == (64, 1024)
    assert resized(np.zeros((1, 1, 3), np.uint8), (64, 64)).shape == (3, 64, 64)
    labels = blocks()
    for size in ((45, 61), (200, 133)):
        wanted = np.asarray(Image.fromarray(labels).resize(size[::-1], Image.Resampling.NEAREST))
        np.testing.assert_array_equal(labels_resized(labels, size), wanted)


def test_smaller_crops_are_filled_up_behind() -> None:
    """Crops of different sizes become one batch, what is missing on the right and below being the given value."""
    found = together([torch.ones(2, 3), torch.ones(4, 1)], (4, 4), 7.0)
    assert found[0].tolist() == [[1, 1, 1, 7]] * 2 + [[7] * 4] * 2
    assert found[1].tolist() == [[1, 7, 7, 7]] * 4
