"""102flowers.tgz, imagelabels.mat and setid.mat: labels and splits by the images' numbers, both from 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("flowers102", "vtab1k_flowers102", "vtab_flowers102")
SPLITS = {"train": "train[:8]", "val": "val[:8]", "test": "test"}


def build(place: Path) -> Truth:
    """Write the three files: ten images per split, dealt to the splits by turns."""
    from scipy.io import savemat

    images = pictures(30)
    labels = np.arange(30, dtype=np.uint8) * 3 + 2
    pack(place / "102flowers.tgz", {f"jpg/image_{i + 1:05d}.jpg": image for i, image in enumerate(images)})
    savemat(place / "imagelabels.mat", {"labels": labels[None]})
    numbers = {"trnid": np.arange(1, 31, 3), "valid": np.arange(2, 31, 3), "tstid": np.arange(3, 31, 3)}
    savemat(place / "setid.mat", {name: own[None].astype(np.uint16) for name, own in numbers.items()})
    return {
        split: {f"image_{i:05d}.jpg": (int(labels[i - 1]) - 1, images[i - 1]) for i in numbers[name].tolist()}
        for split, name in (("train", "trnid"), ("val", "valid"), ("test", "tstid"))
    }
