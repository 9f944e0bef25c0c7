"""A tar of grey PNG images, and in it a list of their objects, angles and splits."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("coil20_azimuth", "coil20_object")


def build(place: Path, card: str) -> Truth:
    """Put the tar: 20 objects from four sides, COIL-20's own images where these are."""
    truth: Truth = {"train": {}, "test": {}}
    rows = ["path,object,azimuth_deg,split\n"]
    for number, image in enumerate(pictures(80, "coil", form="png")):
        thing, angle = number // 4 + 1, (number % 4) * 90
        split, path = ("train", "test")[number % 2], f"images/obj{thing}__{number % 4}.png"
        truth[split][path] = (angle * 8 // 360 if card == "coil20_azimuth" else thing - 1, image)
        rows.append(f"{path},{thing},{angle},{split}\n")
    files = {path: image for members in truth.values() for path, (_, image) in members.items()}
    pack(place / "coil20/coil20.tar", files | {"index.csv": "".join(rows)})
    return truth
