"""Six HDF5 files packed by gzip: patches in `x`, and labels of four axes in `y`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pixels, squeeze

CARDS = ("vtab1k_patch_camelyon", "vtab_patch_camelyon")
SPLITS = {"train": "train[:8]", "val": "val[:8]", "test": "test"}
NEEDS = "h5py"


def build(place: Path) -> Truth:
    """Write the six files, ten patches per split."""
    import h5py

    images, truth = pixels(30, 96), Truth()
    for number, (split, name) in enumerate((("train", "train"), ("val", "valid"), ("test", "test"))):
        part = images[10 * number : 10 * (number + 1)]
        labels = (np.arange(10) + number).astype(np.uint8) % 2
        for letter, array in (("x", part), ("y", labels.reshape(-1, 1, 1, 1))):
            buffer = io.BytesIO()
            with h5py.File(buffer, "w") as file:
                file[letter] = array
            squeeze(place / f"camelyonpatch_level_2_split_{name}_{letter}.h5.gz", buffer.getvalue())
        truth[split] = {f"{name}_{i}": (int(labels[i]), part[i]) for i in range(10)}
    return truth
