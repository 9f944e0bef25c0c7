"""The .npz file of dSprites: images of zeros and ones, and the latents as classes and as values."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth

CARDS = (
    "vtab1k_dsprites_location",
    "vtab1k_dsprites_orientation",
    "vtab_dsprites_location",
    "vtab_dsprites_orientation",
)
SPLITS = {"train": "train[:60]", "val": "train[60:90]", "test": "train[100:]"}


def build(place: Path, card: str) -> Truth:
    """Write the file: 120 squares, every orientation and place among them."""
    latents = np.stack([np.zeros(120), np.arange(120) % 3, np.arange(120) % 6, np.arange(120) % 40], axis=1)
    latents = np.concatenate([latents, np.arange(240).reshape(120, 2) % 32], axis=1).astype(np.int64)
    images = np.zeros((120, 64, 64), dtype=np.uint8)
    for i, (_, _, scale, _, x, y) in enumerate(latents):
        images[i, y : y + 20 + scale, x : x + 20 + scale] = 1
    place.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        place / "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
        metadata=np.array([b"a pickle in the original"]),
        imgs=images,
        latents_classes=latents,
        latents_values=latents.astype(np.float64),
    )
    column, values = (4, 32) if card.endswith("location") else (3, 40)
    labels = latents[:, column] * 16 // values
    return {"train": {str(i): (int(labels[i]), images[i] * np.uint8(255)) for i in range(120)}}
