"""train_32x32.mat and test_32x32.mat: images along the last axis, and the digit 0 called 10."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pixels

CARDS = ("vtab1k_svhn", "vtab_svhn")
SPLITS = {"train": "train[:12]", "val": "train[12:18]", "test": "test"}


def build(place: Path) -> Truth:
    """Write both files, of 18 and 10 images."""
    from scipy.io import savemat

    place.mkdir(parents=True, exist_ok=True)
    images, truth = pixels(28), Truth()
    for split, part in (("train", images[:18]), ("test", images[18:])):
        called = np.arange(len(part)) % 10 + 1
        savemat(place / f"{split}_32x32.mat", {"X": part.transpose(1, 2, 3, 0), "y": called[:, None]})
        truth[split] = {str(i): (int(digit) % 10, part[i]) for i, digit in enumerate(called)}
    return truth
