"""KITTI's object detection images as its authors pack them, labelled by the distance to the nearest vehicle.

The labels are VTAB's (google-research/task_adaptation, data/kitti.py). The authors' test images have no labels, so
their training videos are divided, as TensorFlow Datasets does (object_detection/kitti.py): a tenth of the videos,
drawn from their sorted names by NumPy's legacy generator under seed 123, is test, and an equal number of the rest val.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, reason

VEHICLES = frozenset(("Car", "Van", "Truck"))
DISTANCES = (-100.0, 8.0, 20.0, 999.0)
"""In metres ahead of the camera; a bound belongs to the class below it."""
NO_VEHICLE = 1000.0
"""The distance that stands for none."""
CLASSES = ("up to 8 m", "up to 20 m", "farther", "no vehicle")
SEED = 123
PERCENT = 10
"""Of the videos, for test and for val each."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`; each is an archive, or the folder it unpacks to, relative to the data folder."""

    images: str
    """data_object_image_2.zip."""
    labels: str
    """data_object_label_2.zip."""
    devkit: str
    """devkit_object.zip, which tells the video of each image."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the three archives, or every file of the folders; raise MissingError that names all that are absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return root / chosen.images, root / chosen.labels, root / chosen.devkit


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train, val and test; an id is the image's file name.

    Raises DataError for label files and a mapping of another form, and for images or label files that are not there.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    videos = _videos(containers.listing(root / chosen.devkit))
    images, labels = containers.listing(root / chosen.images), containers.listing(root / chosen.labels)
    splits = {}
    for split, numbers in divide(videos).items():
        source = images.source([f"training/image_2/{number:06d}.png" for number in numbers])
        texts = labels.source([f"training/label_2/{number:06d}.txt" for number in numbers])
        found = [_label(texts.read(i), number) for i, number in enumerate(numbers)]
        ids = tuple(f"{number:06d}.png" for number in numbers)
        splits[split] = Split(source, np.arange(len(ids)), ids, np.array(found, dtype=np.int64), CLASSES)
    return splits


def divide(videos: Sequence[str]) -> dict[str, list[int]]:
    """Return the image numbers of train, val and test, given the video of each image."""
    generator = np.random.RandomState(SEED)
    names = sorted(set(videos))
    count = max(1, PERCENT * len(names) // 100)
    test = set(generator.choice(names, count, replace=False).tolist())
    val = set(generator.choice(sorted(set(names) - test), count, replace=False).tolist())
    members: dict[str, list[int]] = {"train": [], "val": [], "test": []}
    for number, video in enumerate(videos):
        members["test" if video in test else "val" if video in val else "train"].append(number)
    return members


def distance_label(lines: Sequence[str]) -> int:
    """Return the greatest i with DISTANCES[i] < distance of the nearest car, van or truck.

    A line is an object: its type first, its place (x, y, z) in metres in fields 11 to 13, z ahead.
    """
    fields = [line.split(" ") for line in lines if line.strip()]
    nearest = min([float(values[13]) for values in fields if values[0] in VEHICLES], default=NO_VEHICLE)
    return bisect.bisect_left(DISTANCES, nearest) - 1


def _label(text: bytes, number: int) -> int:
    try:
        return distance_label(text.decode().splitlines())
    except (ValueError, IndexError) as error:
        raise DataError(f"training/label_2/{number:06d}.txt does not hold KITTI's objects: {reason(error)}") from error


def _videos(devkit: Listing) -> list[str]:
    """Return each training image's video: train_rand.txt has, per image, the line of train_mapping.txt, from 1."""
    try:
        lines = devkit.read("mapping/train_mapping.txt").decode().splitlines()
        places = [int(number) for number in devkit.read("mapping/train_rand.txt").decode().split(",")]
        if min(places) < 1:
            raise ValueError("lines are counted from 1")
        return [lines[place - 1].split(" ")[1] for place in places]
    except (ValueError, IndexError) as error:
        raise DataError(f"{devkit.path}: the files in mapping/ are not KITTI's: {reason(error)}") from error
