"""101_ObjectCategories as Caltech's archive unpacks, and the list that VTAB's card asks for."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("vtab1k_caltech101", "vtab_caltech101")
SPLITS = {"train": "train[:90]", "val": "val[:90]", "test": "test"}


def build(place: Path, card: str) -> Truth:
    """Put an image per class and split, Caltech's own where these are, and the card's list."""
    names = ["BACKGROUND_Google", *classes(101, "object")]
    truth: Truth = {"train": {}, "val": {}, "test": {}}
    rows = ["path,label,split\n"]
    for number, (label, name, image) in enumerate(deal(names, pictures(306, "caltech"))):
        split = ("train", "val", "test")[number // 102]
        path = f"{name}/image_{number // 102 + 1:04d}.jpg"
        truth[split][path] = (label, image)
        rows.append(f"{path},{name},{split}\n")
    files = {path: image for members in truth.values() for path, (_, image) in members.items()}
    write(place / "caltech101/101_ObjectCategories", files)
    write(place / "caltech101", {f"{card.partition('_')[0]}.csv": "".join(rows)})
    return truth
