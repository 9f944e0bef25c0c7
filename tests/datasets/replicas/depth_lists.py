"""NYU's, KITTI's and SUN RGB-D's images with depth maps of 16 bits, below folders, and the toolbox's lists of both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_bench.targets import Distances
from tests.datasets.replicas import BY_HAND, Truth, encoded, pixels, write

CARDS = ("kitti_depth", "nyu_depth", "nyu_to_sun_rgbd")
SIZES = {"nyu": (640, 480), "kitti": (1224, 370), "sun": (656, 500)}
"""Width and height."""


def depth_png(values: np.ndarray) -> bytes:
    """Return numbers of 16 bits as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint16)).save(buffer, "png")
    return buffer.getvalue()


def scene(kind: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture (height, width, 3) and distances (height, width) in metres, some of them 0 and some too far."""
    width, height = SIZES[kind]
    picture = np.asarray(Image.fromarray(pixels(8)[number]).resize((width, height), Image.Resampling.NEAREST))
    rows, columns = np.mgrid[:height, :width]
    most = 100 if kind == "kitti" else 12
    metres = 0.5037 + most * (rows / height * 0.7 + columns / width * 0.3)
    return picture, np.where((rows + columns + number) % 7 == 0, 0, metres)


def known(
    values: np.ndarray,
    metre: float,
    shown: tuple[slice, slice],
    counted: tuple[slice, slice] | None = None,
    below: float = 0,
) -> Distances:
    """Return the distances of a shown part of numbers of 16 bits, of which `counted` and those nearer than `below`."""
    metres = np.asarray(values.astype(np.uint16), np.float32)[shown] / np.float32(metre)
    found = np.zeros_like(metres)
    part = counted or (slice(None), slice(None))
    found[part] = np.where(metres[part] < below, metres[part], 0) if below else metres[part]
    return Distances(found)


NYU_SHOWN, EIGEN = (slice(45, 472), slice(43, 608)), (slice(45, 471), slice(41, 601))
KITTI_SHOWN = (slice(18, 370), slice(4, 1220))
GARG = (slice(int(0.40810811 * 352), int(0.99189189 * 352)), slice(int(0.03594771 * 1216), int(0.96405229 * 1216)))
"""Rows and columns that are shown, and that count."""
WHOLE = (slice(None), slice(None))


def build(place: Path, card: str) -> Truth:
    """Write three train and two test images of the card's sources; a drive of KITTI has an image without a map."""
    hand = place / BY_HAND
    hand.mkdir()
    truth: Truth = {"train": {}, "test": {}}
    if card == "kitti_depth":
        for split, numbers in (("train", (0, 1, 2)), ("test", (3, 4))):
            lines = "2011_09_26/drive_9/image_02/data/0000000069.png None 721.5377\n"
            for number in numbers:
                picture, metres = scene("kitti", number)
                image = f"2011_09_26/drive_{number}/image_02/data/0000000005.png"
                depth = f"drive_{number}/proj_depth/groundtruth/image_02/0000000005.png"
                write(hand / "kitti_depth/input", {image: encoded(picture, "png")})
                write(hand / "kitti_depth/gt_depth", {depth: depth_png(metres * 256)})
                lines += f"{image} {depth} 721.5377\n"
                counts = (GARG, 80.0) if split == "test" else (None, 0.0)
                truth[split][image] = (known(metres * 256, 256, KITTI_SHOWN, *counts), picture[KITTI_SHOWN])
            write(place, {f"kitti_eigen_{split}.txt": lines})
        return truth
    lines = ""
    for number in (0, 1, 2):
        picture, metres = scene("nyu", number)
        image, depth = f"kitchen_{number}/rgb_00045.png", f"kitchen_{number}/sync_depth_00045.png"
        write(hand / "nyu", {image: encoded(picture, "png"), depth: depth_png(metres * 1000)})
        lines += f"/{image} /{depth} 518.8579\n"
        truth["train"][image] = (known(metres * 1000, 1000, NYU_SHOWN), picture[NYU_SHOWN])
    write(place, {"nyu_train.txt": lines})
    kind, folder, listed = (
        ("nyu", "nyu", "nyu_test") if card == "nyu_depth" else ("sun", "sunrgbd", "SUNRGBD_val_splits")
    )
    lines = ""
    for number in (3, 4):
        picture, metres = scene(kind, number)
        values = np.round(metres * 1000).astype(np.uint16)
        near = values if kind == "nyu" else np.minimum(values, 8000)
        distances = known(near, 1000, WHOLE, EIGEN, 10.0 if kind == "nyu" else 0.0)
        values = values if kind == "nyu" else (values << 3) | (values >> 13)
        name = f"kv1/{number}/image/{number}.png"
        depth = name.replace("/image/", "/depth/")
        file = encoded(picture, "png")
        write(hand / folder, {name: file, depth: depth_png(values)})
        lines += f"{name} {depth} 518.8579\n" if kind == "nyu" else f"{name} {depth}\n"
        truth["test"][name] = (distances, file)
    write(place, {f"{listed}.txt": lines})
    return truth
