"""mini-ImageNet's pickle of test classes, as Python 2 wrote it: numbers of classes that begin at 80."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.datasets.replicas import Truth, pixels

CARDS = ("miniimagenet",)


def build(place: Path) -> Truth:
    """Put three images of each of 20 classes."""
    images = pixels(60, 84)
    labels = [80 + 7 * i % 20 for i in range(60)]
    (place / "miniimagenet").mkdir()
    content = pickle.dumps({"data": images, "labels": labels, "catname2label": {"n01": 80}}, protocol=2)
    (place / "miniimagenet/miniImageNet_category_split_test.pickle").write_bytes(content)
    return {"test": {str(i): (labels[i] - 80, images[i]) for i in range(60)}}
