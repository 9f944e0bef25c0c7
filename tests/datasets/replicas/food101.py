"""food-101.tar.gz: images by dish, and lists of both splits as JSON and as text."""

from __future__ import annotations

import json
from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pack, pictures

CARDS = ("food101",)


def build(place: Path) -> Truth:
    """Write the archive: an image of each of 101 dishes per split."""
    names, truth, files = classes(101, "dish"), Truth(), {"food-101/README.txt": "Food-101"}
    images = pictures(202)
    for number, split in enumerate(("train", "test")):
        members = {f"{n}/{1000 + number}.jpg": (i, image) for i, n, image in deal(names, images[101 * number :][:101])}
        listed = {n: [f"{n}/{1000 + number}"] for n in names}
        files |= {f"food-101/images/{path}": image for path, (_, image) in members.items()}
        files[f"food-101/meta/{split}.json"] = json.dumps(listed)
        files[f"food-101/meta/{split}.txt"] = "".join(f"{n}/{1000 + number}\n" for n in names)
        truth[split] = members
    files |= {"food-101/meta/classes.txt": "\n".join(names), "food-101/meta/labels.txt": "\n".join(names)}
    pack(place / "food-101.tar.gz", files)
    return truth
