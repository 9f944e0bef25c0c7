"""images.tar.gz and annotations.tar.gz: breeds numbered from 1, and what a Mac left behind."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, deal, pack, pictures

CARDS = ("pets", "vtab1k_pets", "vtab_pets")
SPLITS = {"train": "train[:30]", "val": "train[30:37]", "test": "test"}


def build(place: Path) -> Truth:
    """Write both archives: an image of each of 37 breeds per split."""
    breeds, truth = [f"breed{number:02d}" for number in range(37)], Truth()
    lists, files = {"annotations/README": "the lists", "annotations/._trainval.txt": "left by a Mac"}, {}
    images = pictures(74)
    for number, (split, name) in enumerate((("train", "trainval"), ("test", "test"))):
        members = {
            f"{breed}_{number + 1}.jpg": (label, image)
            for label, breed, image in deal(breeds, images[37 * number : 37 * (number + 1)])
        }
        lines = [f"{file.removesuffix('.jpg')} {label + 1} 1 1\n" for file, (label, _) in members.items()]
        lists[f"annotations/{name}.txt"] = "".join(lines)
        files |= {f"images/{file}": image for file, (_, image) in members.items()}
        truth[split] = members
    pack(place / "images.tar.gz", files | {"images/breed00_1.mat": b"MATLAB"})
    pack(place / "annotations.tar.gz", lists)
    return truth
