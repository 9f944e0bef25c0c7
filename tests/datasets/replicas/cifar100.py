"""cifar-100-python.tar.gz: three pickles, images as rows of 3,072 bytes, channel after channel."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.datasets.replicas import Truth, classes, pack, pixels

CARDS = ("cifar100", "vtab1k_cifar100", "vtab_cifar100")
SPLITS = {"train": "train[:20]", "val": "train[20:30]", "test": "test"}


def build(place: Path) -> Truth:
    """Write the archive: 30 images to train on and 20 to test."""
    images, truth = pixels(50), Truth()
    files = {"cifar-100-python/meta": pickle.dumps({"fine_label_names": classes(100), "coarse_label_names": []})}
    for split, part in (("train", images[:30]), ("test", images[30:])):
        labels = [7 * i % 100 for i in range(len(part))]
        rows = part.transpose(0, 3, 1, 2).reshape(len(part), 3072)
        files[f"cifar-100-python/{split}"] = pickle.dumps({"data": rows, "fine_labels": labels, "filenames": []})
        truth[split] = {str(i): (label, part[i]) for i, label in enumerate(labels)}
    pack(place / "cifar-100-python.tar.gz", files)
    return truth
