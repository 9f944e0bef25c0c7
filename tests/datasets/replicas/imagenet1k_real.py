"""ImageNet-1k whose validation images bear their numbers, and real.json, with lists of none, one and several labels."""

from __future__ import annotations

import json
from pathlib import Path

from tests.datasets.replicas import Truth, pictures, write
from tests.datasets.replicas.imagenet1k import WNIDS, plain

CARDS = ("imagenet1k_real",)


def build(place: Path) -> Truth:
    """Put one image per class; in the order of their numbers the validation images are of falling classes."""
    truth = plain(place)
    for path in list(truth["val"]):
        (place / "imagenet1k" / path).unlink()
    truth["val"], truth["imagenet_real"], image = {}, {}, pictures(2)[1]
    reassessed = [[999 - number, (number * 7) % 999 + 1][: number % 3] for number in range(1000)]
    for number, labels in enumerate(reassessed, start=1):
        label = 1000 - number
        name = f"{WNIDS[label]}/ILSVRC2012_val_{number:08d}.JPEG"
        write(place / "imagenet1k/val", {name: image})
        truth["val"][f"val/{name}"] = (label, image)
        if labels:
            truth["imagenet_real"][name] = (sorted(labels), image)
    write(place / "imagenet-real", {"real.json": json.dumps(reassessed)})
    return truth
