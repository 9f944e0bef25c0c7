"""Small images with masks, for tests of what asks of pixels: bars and squares whose colours tell their classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.targets import VOID
from ssl_bench.tasks import Splits, TaskCard

COLOURS = np.array([[40, 90, 200], [60, 160, 60], [200, 60, 50], [0, 0, 0]], dtype=np.uint8)
CLASSES = 3


def scene(number: int, size: tuple[int, int] = (32, 48)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image (height, width, 3) and its mask: class 0 above, 1 below, squares of 2, and a column of void."""
    generator = np.random.default_rng(number)
    labels = np.zeros(size, dtype=np.uint8)
    labels[size[0] // 2 + int(generator.integers(-6, 7)) :] = 1
    top, left = (int(generator.integers(0, side - 10)) for side in size)
    labels[top : top + 10, left : left + 10] = 2
    labels[:, -2:] = VOID
    noise = generator.integers(-25, 26, (*size, 3))
    image = np.clip(COLOURS[np.minimum(labels, CLASSES)] + noise, 0, 255).astype(np.uint8)
    return image, labels


def write(folder: Path, train: int = 6, test: int = 4) -> Path:
    """Write `<split>/images/` and `<split>/masks/` into `folder`, the test images of several sizes."""
    for split, count, first in (("train", train, 0), ("test", test, 100)):
        for part in ("images", "masks"):
            (folder / split / part).mkdir(parents=True)
        for number in range(first, first + count):
            size = (32, 48) if split == "train" else (28 + number % 3, 50)
            image, labels = scene(number, size)
            Image.fromarray(image).save(folder / split / "images" / f"{number:03d}.jpg", quality=95)
            Image.fromarray(labels).save(folder / split / "masks" / f"{number:03d}.png")
    return folder


def card(folder: Path) -> TaskCard:
    """Return the task of what `write` wrote."""
    places = {
        split: {"images": str(folder), "inside": f"{split}/images", "masks_inside": f"{split}/masks"}
        for split in ("train", "test")
    }
    return TaskCard(
        "scenes",
        "Scenes",
        "masks",
        CLASSES,
        kind="segmentation",
        metric="miou",
        data={"splits": places},
        splits=Splits("train", "", "test"),
        class_names=("sky", "ground", "a box"),
    )
