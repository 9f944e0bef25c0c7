"""Tars of `<split>/<class>/<image>`: the samples of Caltech-101 and EuroSAT."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pack, pictures
from tests.datasets.replicas.eurosat import NAMES

CARDS = ("caltech101_1414", "eurosat_3500")
LAYOUT = {
    "caltech101_1414": ("caltech101/caltech101.tar", classes(101, "object"), "caltech"),
    "eurosat_3500": ("eurosat-rgb/eurosat.tar", NAMES, "eurosat"),
}


def build(place: Path, card: str) -> Truth:
    """Put the tar: two images of every class to train on and one to test, real ones where these are."""
    path, names, kind = LAYOUT[card]
    truth: Truth = {"train": {}, "test": {}}
    for number, (label, name, image) in enumerate(deal(names, pictures(3 * len(names), kind))):
        split = "train" if number < 2 * len(names) else "test"
        truth[split][f"{split}/{name}/image_{number:04d}.jpg"] = (label, image)
    pack(place / path, {name: image for members in truth.values() for name, (_, image) in members.items()})
    return truth
