"""MedMNIST's .npz files: six arrays each, labels in a column, grey images without channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pixels

COLOURED = ("blood", "derma", "path", "retina")
GREY = ("breast", "chest", "oct", "organa", "organc", "organs", "pneumonia", "tissue")
CARDS = tuple(f"medmnist_{name}" for name in (*COLOURED, *GREY))


def build(place: Path, card: str) -> Truth:
    """Write the file that the address ends in of 12 images a split."""
    name = card.removeprefix("medmnist_")
    images, truth, arrays = pixels(36, 28), Truth(), {}
    for number, split in enumerate(("train", "val", "test")):
        part = images[12 * number :][:12]
        part = part if name in COLOURED else part[..., 0]
        labels = (np.arange(12, dtype=np.uint8) * 5 % tasks.get(card).classes)[:, None]
        if name == "chest":
            labels = np.arange(12 * 14, dtype=np.uint8).reshape(12, 14) % 5 // 4
        arrays |= {f"{split}_images": part, f"{split}_labels": labels}
        truth[split] = {str(i): (labels[i].tolist(), part[i]) for i in range(12)}
        if name != "chest":
            truth[split] = {key: (label[0], image) for key, (label, image) in truth[split].items()}
    place.mkdir(parents=True, exist_ok=True)
    with (place / tasks.get(card).source.files[0].urls[0].rpartition("/")[2]).open("wb") as file:
        np.savez_compressed(file, **arrays)
    return truth
