"""101_ObjectCategories as Caltech's archive unpacks, all images of a class in one folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.datasets.replicas import Truth, classes, pictures, write

CARDS = ("caltech101",)


def build(place: Path) -> Truth:
    """Put 31 or 32 images into each of 102 folders: all but 30 of each, by the md5 of the paths, are test."""
    names, truth, image = ["BACKGROUND_Google", *classes(101, "object")], Truth(), pictures(1, "caltech")[0]
    truth = {"train": {}, "test": {}}
    for label, name in enumerate(names):
        paths = [f"{name}/image_{number:04d}.jpg" for number in range(1, 32 + label % 2)]
        paths.sort(key=lambda path: hashlib.md5(path.encode(), usedforsecurity=False).hexdigest())
        truth["train"] |= dict.fromkeys(paths[:30], (label, image))
        truth["test"] |= dict.fromkeys(paths[30:], (label, image))
    files = {path: image for members in truth.values() for path, (_, image) in members.items()}
    write(place / "caltech101/101_ObjectCategories", files)
    return truth
