"""ImageNet-1k whose validation images bear their numbers, and real.json, with lists of none, one and several labels."""

from __future__ import annotations

import json
from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import BY_HAND, Truth, pictures, serve, write
from tests.datasets.replicas.imagenet1k import WNIDS, plain

CARDS = ("imagenet1k_real",)


def build(place: Path) -> Truth:
    """Put one image per class; in the order of their numbers the validation images are of falling classes."""
    root = place / BY_HAND
    truth = plain(root)
    for path in list(truth["val"]):
        (root / "imagenet1k" / path).unlink()
    truth["val"], truth["imagenet_real"], image = {}, {}, pictures(2)[1]
    reassessed = [[999 - number, (number * 7) % 999 + 1][: number % 3] for number in range(1000)]
    for number, labels in enumerate(reassessed, start=1):
        label = 1000 - number
        name = f"{WNIDS[label]}/ILSVRC2012_val_{number:08d}.JPEG"
        write(root / "imagenet1k/val", {name: image})
        truth["val"][f"val/{name}"] = (label, image)
        if labels:
            truth["imagenet_real"][name] = (sorted(labels), image)
    write(root / "imagenet-real", {"real.json": json.dumps(reassessed)})
    serve(place, tasks.get(CARDS[0]).source.files)
    return truth
