"""SPair-71k's folders: photographs by class, landmarks of each, and a file for every pair, called after its images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ssl_bench.targets import Landmarks
from tests.datasets.replicas import Truth, encoded, pixels, write

CARDS = ("spair71k",)
SHAPE = (48, 64)
"""Height and width."""
IMAGES = {"cat": ("2008_000001", "2008_000002", "2008_000003"), "bus": ("2009_000001", "2009_000002")}
MARKS = {
    "2008_000001": {"0": [10, 20], "1": [30, 40], "2": None},
    "2008_000002": {"0": [12, 22], "1": None, "2": [40, 8]},
    "2008_000003": {"0": [14, 24], "1": [34, 44], "2": [42, 10]},
    "2009_000001": {"0": [5, 5]},
    "2009_000002": {"0": [6, 7]},
}
BOX = [4, 4, 44, 46]
PAIRS = [("cat", 0, 1), ("cat", 0, 2), ("cat", 2, 1), ("bus", 1, 0)]


def build(place: Path) -> Truth:
    """Write four test pairs, and one of train whose images are not here."""
    folder, truth = place / "spair/SPair-71k", Truth()
    files: dict[str, bytes | str] = {}
    truth["test"] = {}
    for number, (group, name) in enumerate((group, name) for group, names in IMAGES.items() for name in names):
        image = encoded(np.resize(pixels(5, 64)[number], (*SHAPE, 3)))
        files[f"JPEGImages/{group}/{name}.jpg"] = image
        files[f"ImageAnnotation/{group}/{name}.json"] = json.dumps({"filename": f"{name}.jpg", "kps": MARKS[name]})
        marks = {int(mark): place for mark, place in MARKS[name].items() if place}
        mine = [IMAGES[group].index(name) == one and kind == group for kind, one, _ in PAIRS]
        partners = sorted(
            f"{group}/{IMAGES[group][other]}" for (_, _, other), own in zip(PAIRS, mine, strict=True) if own
        )
        landmarks = Landmarks(
            SHAPE, np.array(list(marks.values()), dtype=np.float64), np.array(list(marks)), np.array(BOX, dtype=float),
            group, tuple(partners),
        )  # fmt: skip
        truth["test"][f"{group}/{name}"] = (landmarks, image)
    size = [SHAPE[1], SHAPE[0], 3]
    for number, (group, one, other) in enumerate(PAIRS):
        first, second = IMAGES[group][one], IMAGES[group][other]
        told = {"src_imsize": size, "trg_imsize": size, "src_bndbox": BOX, "trg_bndbox": BOX, "category": group}
        files[f"PairAnnotation/test/{number:06d}-{first}-{second}:{group}.json"] = json.dumps(told)
    write(folder, files)
    return truth
