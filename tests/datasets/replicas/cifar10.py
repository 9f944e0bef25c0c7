"""cifar-10-python.tar.gz: five pickles to train on, one to test, and the names of the classes."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.datasets.replicas import Truth, classes, pack, pixels

CARDS = ("cifar10",)


def build(place: Path) -> Truth:
    """Write the archive: six images in each pickle."""
    images, truth = pixels(36), Truth()
    files = {"cifar-10-batches-py/batches.meta": pickle.dumps({"label_names": classes(10)})}
    truth = {"train": {}, "test": {}}
    for number, name in enumerate((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")):
        part = images[6 * number : 6 * number + 6]
        labels = [3 * i % 10 for i in range(6)]
        rows = part.transpose(0, 3, 1, 2).reshape(6, 3072)
        files[f"cifar-10-batches-py/{name}"] = pickle.dumps({"data": rows, "labels": labels, "filenames": []})
        members = truth["test" if name == "test_batch" else "train"]
        members |= {str(len(members) + i): (labels[i], part[i]) for i in range(6)}
    pack(place / "cifar-10-python.tar.gz", files)
    return truth
