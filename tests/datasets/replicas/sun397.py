"""SUN397 as its archive unpacks, classes in folders by letter and depth, and TensorFlow Datasets' lists of splits."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, deal, pictures, write

CARDS = ("vtab1k_sun397", "vtab_sun397")
SPLITS = {"train": "train[:300]", "val": "val[:300]", "test": "test"}


def build(place: Path) -> Truth:
    """Put an image of each of 397 classes per split; some classes lie a folder deeper."""
    names = sorted(
        f"/{'abcdefghij'[number % 10]}/scene{number:03d}{'/indoor' if number % 9 == 0 else ''}" for number in range(397)
    )
    images, truth = pictures(3 * 397), Truth()
    for number, (split, end) in enumerate((("train", "tr"), ("val", "va"), ("test", "te"))):
        part = images[397 * number : 397 * (number + 1)]
        truth[split] = {f"{name}/sun_{number}.jpg": (label, image) for label, name, image in deal(names, part)}
        write(place / "sun397", {f"sun397_tfds_{end}.txt": "".join(f"{path}\n" for path in truth[split])})
        write(place / "sun397/SUN397", {path.lstrip("/"): image for path, (_, image) in truth[split].items()})
    return truth
