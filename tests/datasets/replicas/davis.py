"""DAVIS's folders: frames in JPEG, masks with a palette whose numbers are the objects', and lists of videos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from ssl_bench.targets import Frame
from tests.datasets.replicas import Truth, encoded, write

CARDS = ("davis2017",)
SIZE = (48, 80)
"""Height and width."""
VIDEOS = {"bike": 2, "cow": 1}
"""Video to how many objects it shows."""
FRAMES = 5


def frame(video: str, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a picture (height, width, 3) and its objects: squares that move to the right, two pixels a frame."""
    labels = np.zeros(SIZE, np.uint8)
    for one in range(VIDEOS[video]):
        labels[4 + 22 * one : 20 + 22 * one, 4 + 2 * number : 20 + 2 * number] = one + 1
    picture = np.array([[30, 60, 90], [230, 40, 40], [40, 230, 40]], np.uint8)[labels]
    return picture, labels


def mask_png(labels: np.ndarray) -> bytes:
    """Return numbers of objects as a PNG with a palette."""
    image, buffer = Image.fromarray(labels, "L").convert("P"), io.BytesIO()
    image.putdata(labels.ravel().tolist())
    image.save(buffer, "png")
    return buffer.getvalue()


def build(place: Path) -> Truth:
    """Write two videos of val, and the list of train, whose video has no frames here."""
    folder, truth = place / "davis/DAVIS", Truth()
    truth["val"] = {}
    files: dict[str, bytes | str] = {"ImageSets/2017/val.txt": "cow\nbike\n", "ImageSets/2016/val.txt": "cow\n"}
    for video in VIDEOS:
        for number in range(FRAMES):
            picture, labels = frame(video, number)
            name = f"{video}/{number:05d}"
            files[f"JPEGImages/480p/{name}.jpg"] = encoded(picture)
            files[f"Annotations/480p/{name}.png"] = mask_png(labels)
            truth["val"][name] = (Frame(labels, video, number), encoded(picture))
    write(folder, files)
    return truth
