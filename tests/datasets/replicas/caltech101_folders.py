"""Caltech's archive: in it another one of all images, a folder per class, and one file that is none."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.datasets.replicas import Truth, classes, pack, pictures

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
    inner = place / "101_ObjectCategories.tar.gz"
    pack(
        inner,
        {f"101_ObjectCategories/{path}": image for path, image in (files | {"BACKGROUND_Google/tmp": b""}).items()},
    )
    pack(place / "caltech-101.zip", {f"caltech-101/{inner.name}": inner.read_bytes()})
    inner.unlink()
    return truth
