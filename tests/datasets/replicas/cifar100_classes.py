"""cifar-100-python.tar.gz with CIFAR-100's own names, of which few-shot learning takes some."""

from __future__ import annotations

import pickle
from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pack, pixels

CARDS = ("cifar_fs", "fc100")


def build(place: Path, card: str) -> Truth:
    """Write the archive: two images of every class in each file; an id is the file and the row."""
    kept = tasks.get(card).data["classes"]
    names = sorted({*(f"filler {i:02d}" for i in range(80)), *kept})[:100]
    names += [f"more {i:02d}" for i in range(100 - len(names))]
    images, truth, files = pixels(400), Truth(), {}
    files["cifar-100-python/meta"] = pickle.dumps({"fine_label_names": names, "coarse_label_names": []})
    for split, part in (("train", images[:200]), ("test", images[200:])):
        labels = [7 * i % 100 for i in range(200)]
        rows = part.transpose(0, 3, 1, 2).reshape(200, 3072)
        files[f"cifar-100-python/{split}"] = pickle.dumps({"data": rows, "fine_labels": labels, "filenames": []})
        own = {i: kept.index(names[label]) for i, label in enumerate(labels) if names[label] in kept}
        truth[split] = {f"{split}/{i}": (label, part[i]) for i, label in own.items()}
    pack(place / "cifar-100-python.tar.gz", files)
    return truth
