"""NYU's, KITTI's and SUN RGB-D's images with depth maps of 16 bits, below folders, and the toolbox's lists of both."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

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
                truth[split][image] = ([], picture[18:, 4:1220])
            write(place, {f"kitti_eigen_{split}.txt": lines})
        return truth
    lines = ""
    for number in (0, 1, 2):
        picture, metres = scene("nyu", number)
        image, depth = f"kitchen_{number}/rgb_00045.png", f"kitchen_{number}/sync_depth_00045.png"
        write(hand / "nyu", {image: encoded(picture, "png"), depth: depth_png(metres * 1000)})
        lines += f"/{image} /{depth} 518.8579\n"
        truth["train"][image] = ([], picture[45:472, 43:608])
    write(place, {"nyu_train.txt": lines})
    kind, folder, listed = (
        ("nyu", "nyu", "nyu_test") if card == "nyu_depth" else ("sun", "sunrgbd", "SUNRGBD_val_splits")
    )
    lines = ""
    for number in (3, 4):
        picture, metres = scene(kind, number)
        values = np.round(metres * 1000).astype(np.uint16)
        values = values if kind == "nyu" else (values << 3) | (values >> 13)
        name = f"kv1/{number}/image/{number}.png"
        depth = name.replace("/image/", "/depth/")
        file = encoded(picture, "png")
        write(hand / folder, {name: file, depth: depth_png(values)})
        lines += f"{name} {depth} 518.8579\n" if kind == "nyu" else f"{name} {depth}\n"
        truth["test"][name] = ([], file)
    write(place, {f"{listed}.txt": lines})
    return truth
