"""Parquet files of JPEG images as Hugging Face writes them, and an .npz of lossless ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, classes, pictures, pixels

CARDS = ("cifar10_jpeg", "cifar10_jpeg_lossless")


def build(place: Path, card: str) -> Truth:
    """Put both Parquet files, of 30 and 20 images, and 12 lossless images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = place / "cifar10-jpeg"
    folder.mkdir(parents=True)
    images, truth = pictures(50), Truth()
    for split, part in (("train", images[:30]), ("test", images[30:])):
        labels = [3 * i % 10 for i in range(len(part))]
        rows = [{"bytes": image, "path": f"{i}.jpg"} for i, image in enumerate(part)]
        table = pa.table({"image": rows, "label": labels})
        table = table.replace_schema_metadata({"class_names": json.dumps(classes(10))})
        pq.write_table(table, folder / f"{split}.parquet", row_group_size=8)
        truth[split] = {str(i): (label, part[i]) for i, label in enumerate(labels)}
    arrays, labels = pixels(12), np.arange(12) % 10
    np.savez_compressed(folder / "lossless242.npz", images=arrays, labels=labels)
    if card == "cifar10_jpeg_lossless":
        truth["lossless"] = {str(i): (int(labels[i]), arrays[i]) for i in range(12)}
    return truth
