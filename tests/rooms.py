"""Small images with distances and normals, for tests of what asks of surfaces: colours tell how far, and which way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

SIZE = (24, 32)
"""Height and width."""


def room(number: int, size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return an image (height, width, 3), the redder the farther, and its distances of 1 to 9 m, but for a column."""
    generator = np.random.default_rng(number)
    corners = generator.uniform(1, 9, (2, 2)).astype(np.float32)
    metres = np.array(Image.fromarray(corners).resize(size[::-1], Image.Resampling.BILINEAR))
    metres = np.clip(metres, 1, 9)
    image = np.stack([metres * 25, np.full(size, 90.0), 255 - metres * 25], axis=2)
    image = np.clip(image + generator.integers(-8, 9, (*size, 3)), 0, 255).astype(np.uint8)
    metres[:, 0] = 0
    return image, metres


def leaning(number: int, size: tuple[int, int] = SIZE) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return an image of two walls, brighter to the right where one leans to the left, and their normals."""
    columns = np.arange(size[1])
    left = np.broadcast_to(columns < 8 + number % 16, size)
    ramp = np.broadcast_to(40 + 5 * columns, size)
    image = np.repeat(np.where(left, ramp, 255 - ramp)[..., None], 3, axis=2).astype(np.uint8)
    normals = np.where(left[..., None], [-0.6, 0, 0.8], [0.6, 0, 0.8]).astype(np.float32)
    normals[:2] = 0
    return image, normals


def write(folder: Path, kind: str = "depth", train: int = 8, test: int = 3) -> Path:
    """Write images, maps and lists into `folder`, test images of another size, and return the card of the task."""
    for split, numbers in (("train", range(train)), ("test", range(100, 100 + test))):
        lines = []
        for number in numbers:
            size = SIZE if split == "train" else (25, 34) if kind == "depth" else (24, 36)
            image, known = (room if kind == "depth" else leaning)(number, size)
            Image.fromarray(image).save(folder / f"{number}.png")
            np.save(folder / f"{number}.npy", known)
            lines.append(f"{number}.png {number}.npy\n")
        (folder / f"{split}.txt").write_text("".join(lines))
    says, metric = ("distances", "rmse") if kind == "depth" else ("normals", "angle_mean")
    parts = "".join(
        f'[data.splits.{split}]\nlist = "{split}.txt"\nimages = "."\nmetre = 1.0\n' for split in ("train", "test")
    )
    path = folder / "rooms.toml"
    path.write_text(
        f'title = "Rooms"\nreader = "depth_lists"\nkind = "{kind}"\nclasses = 0\nmetric = "{metric}"\n'
        f'[data]\nsays = "{says}"\n{parts}[splits]\ntrain = "train"\ntest = "test"\n'
    )
    return path


def network() -> nn.Module:
    """Return seeded filters of patches of 4 pixels."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 24, 4, 4), nn.ReLU())
