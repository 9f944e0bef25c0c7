"""SUN397 as its archive unpacks, and the first of the authors' ten partitions, two lists."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pictures, write

CARDS = ("sun397",)


def build(place: Path) -> Truth:
    """Put an image of each of 397 scenes per split; some scenes are indoors or outdoors."""
    names = sorted(f"{n[-1]}/{n}" + ("", "/indoor", "/outdoor")[i % 3] for i, n in enumerate(classes(397, "scene")))
    truth: Truth = {"train": {}, "test": {}}
    for number, (label, name, image) in enumerate(deal(names, pictures(794))):
        truth["train" if number < 397 else "test"][f"/{name}/sun_{number}.jpg"] = (label, image)
    for split, members in truth.items():
        write(place / "sun397/SUN397", {path[1:]: image for path, (_, image) in members.items()})
        write(place / "sun397", {f"{split.capitalize()}ing_01.txt": "\n".join(members)})
    return truth
