"""Four binary matrices of smallNORB packed by gzip: pairs of images, and instance, elevation, azimuth, lighting."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pixels, squeeze
from tests.datasets.test_smallnorb import matrix

CARDS = ("vtab1k_smallnorb_azimuth", "vtab1k_smallnorb_elevation", "vtab_smallnorb_azimuth", "vtab_smallnorb_elevation")
SPLITS = {"train": "train[:12]", "val": "test[:6]", "test": "test[9:]"}


def build(place: Path, card: str) -> Truth:
    """Write the files: 18 pairs of images for each split."""
    views = np.stack([np.full(18, 4), np.arange(18) % 9, np.arange(18) * 2, np.arange(18) % 6], axis=1).astype("<i4")
    labels = views[:, 2] // 2 if card.endswith("azimuth") else views[:, 1]
    truth = Truth()
    for split, stem in (("train", "5x46789x9x18x6x2x96x96-training"), ("test", "5x01235x9x18x6x2x96x96-testing")):
        grey = pixels(72, 96)[36 * (split == "test") :][:36, :, :, 0].reshape(18, 2, 96, 96)
        squeeze(place / f"smallnorb-{stem}-dat.mat.gz", matrix(grey))
        squeeze(place / f"smallnorb-{stem}-info.mat.gz", matrix(views))
        truth[split] = {str(i): (int(labels[i]), grey[i, 0]) for i in range(18)}
    return truth
