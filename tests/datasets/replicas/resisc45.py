"""NWPU-RESISC45 as its .rar unpacks: 45 folders of JPEG files, numbered from 1."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("vtab1k_resisc45", "vtab_resisc45")
SPLITS = {"train": "train[:60]", "val": "train[60:80]", "test": "train[100:]"}


def build(place: Path) -> Truth:
    """Put three images of every class."""
    members = {}
    for number, (label, name, image) in enumerate(deal(classes(45, "scene"), pictures(135, "eurosat"))):
        members[f"{name}/{name}_{number // 45 + 1:03d}.jpg"] = (label, image)
    write(place / "resisc45/NWPU-RESISC45", {name: image for name, (_, image) in members.items()})
    return {"train": members}
