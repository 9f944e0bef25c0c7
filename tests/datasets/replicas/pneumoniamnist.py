"""The .npz of PneumoniaMNIST: images and labels of three splits under MedMNIST's names, labels in a column."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pixels

CARDS = ("pneumoniamnist",)


def build(place: Path) -> Truth:
    """Put the file: 20 images per split, the set's own first where these are."""
    real = Path(os.environ.get("SSL_BENCH_DATA", "nowhere")) / "pneumoniamnist/pneumoniamnist.npz"
    truth, arrays = Truth(), {}
    for split in ("train", "val", "test"):
        images, labels = pixels(20, 28)[..., 0], (np.arange(20) % 2).astype(np.uint8)[:, None]
        if real.is_file():
            with np.load(real) as whole:
                images, labels = whole[f"{split}_images"][:20], whole[f"{split}_labels"][:20]
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        truth[split] = {str(i): (int(labels[i].item()), images[i]) for i in range(20)}
    (place / "pneumoniamnist").mkdir(parents=True)
    np.savez_compressed(place / "pneumoniamnist/pneumoniamnist.npz", **arrays)
    return truth
