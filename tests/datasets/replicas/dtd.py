"""dtd-r1.0.1.tar.gz: images by texture, and the lists of ten folds."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, classes, deal, pack, pictures

CARDS = ("dtd", "vtab1k_dtd", "vtab_dtd")
SPLITS = {"train": "train[:40]", "val": "val[:40]", "test": "test"}


def build(place: Path) -> Truth:
    """Write the archive: an image of each of 47 textures per split of the first fold."""
    names, truth, files = classes(47, "texture"), Truth(), {"dtd/imdb/imdb.mat": b"MATLAB"}
    images = pictures(3 * 47)
    for number, split in enumerate(("train", "val", "test")):
        members = {}
        for label, name, image in deal(names, images[47 * number : 47 * (number + 1)]):
            members[f"{name}/{name}_{number:04d}.jpg"] = (label, image)
        files |= {f"dtd/images/{name}": image for name, (_, image) in members.items()}
        files[f"dtd/labels/{split}1.txt"] = "".join(f"{name}\n" for name in members)
        files[f"dtd/labels/{split}2.txt"] = "not/this.jpg\n"
        truth[split] = members
    pack(place / "dtd-r1.0.1.tar.gz", files)
    return truth
