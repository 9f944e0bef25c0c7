"""The three archives of KITTI's object benchmark: images, labels, and a devkit that tells the images' videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pack, pictures
from tests.datasets.test_kitti import line

CARDS = ("vtab1k_kitti_distance", "vtab_kitti_distance")
SPLITS = {"train": "train[:20]", "val": "val[:2]", "test": "test"}
VIDEOS = 12
"""Of three images each."""


def build(place: Path) -> Truth:
    """Write the archives: 36 images to train on, numbered at random over the videos, and one to test."""
    places = np.random.default_rng(0).permutation(3 * VIDEOS)
    images = pictures(3 * VIDEOS + 1, form="png")
    names = [f"{number:06d}" for number in range(3 * VIDEOS)]
    pack(
        place / "data_object_image_2.zip",
        {f"training/image_2/{name}.png": image for name, image in zip(names, images, strict=False)}
        | {"testing/image_2/000000.png": images[-1]},
    )
    texts = [line("Pedestrian", 2.0) + line("Car", float(number)) + line("Van", 50.0) for number in range(3 * VIDEOS)]
    texts = [line("DontCare", -1000.0) if number % 12 == 11 else text for number, text in enumerate(texts)]
    pack(
        place / "data_object_label_2.zip",
        {f"training/label_2/{name}.txt": text for name, text in zip(names, texts, strict=True)},
    )
    mapping = "".join(f"2011_09_26 2011_09_26_drive_{i // 3:04d}_sync {i:010d}\n" for i in range(3 * VIDEOS))
    order = ",".join(str(place + 1) for place in places)
    pack(place / "devkit_object.zip", {"mapping/train_mapping.txt": mapping, "mapping/train_rand.txt": order})
    return _divided(places, images)


def _divided(places: np.ndarray, images: tuple[bytes, ...]) -> Truth:
    """Return the truth by a draw of its own: a video in ten to test, and another to val."""
    state = np.random.RandomState(123)
    videos = [f"2011_09_26_drive_{i:04d}_sync" for i in range(VIDEOS)]
    test = str(state.choice(videos, 1, replace=False)[0])
    val = str(state.choice([video for video in videos if video != test], 1, replace=False)[0])
    truth: Truth = {"train": {}, "val": {}, "test": {}}
    for number, where in enumerate(places):
        video = videos[where // 3]
        label = 3 if number % 12 == 11 else 0 if number <= 8 else 1 if number <= 20 else 2
        split = "test" if video == test else "val" if video == val else "train"
        truth[split][f"{number:06d}.png"] = (label, images[number])
    return truth
