"""ObjectNet's folders and mappings as its zip unpacks: classes with one ImageNet class, with two, and with none."""

from __future__ import annotations

import json
from pathlib import Path

from tests.datasets.replicas import Truth, encoded, pixels, write
from tests.datasets.replicas.imagenet1k import plain

CARDS = ("imagenet1k_objectnet",)
CLASSES = {
    "alarm_clock": ("Alarm clock", "analog clock; digital clock", [409, 530]),
    "chair": ("Chair", "rocking chair, rocker; folding chair", [559, 765]),
    "teapot": ("Teapot", "teapot", [849]),
    "wine_cork": ("Wine cork", "", []),
}
"""Folder to ObjectNet's name, ImageNet's names, and their labels."""


def build(place: Path) -> Truth:
    """Put two images with a border per class; ImageNet's own numbers run against its labels."""
    truth, folder, images = plain(place), place / "objectnet-1.0", iter(pixels(8))
    truth["objectnet"] = {}
    names = {label: f"thing {label}" for label in range(1000)}
    for key, (_, joined, labels) in CLASSES.items():
        names |= dict(zip(labels, joined.split("; "), strict=False))
        for number in range(2):
            image = next(images)
            name = f"{key}/{number:02d}.png"
            write(folder / "images", {name: encoded(image, "png")})
            if labels:
                truth["objectnet"][name] = (labels, image[2:-2, 2:-2])
    shared = {name: joined for name, joined, labels in CLASSES.values() if labels}
    mappings = {
        "folder_to_objectnet_label.json": json.dumps({key: name for key, (name, _, _) in CLASSES.items()}),
        "objectnet_to_imagenet_1k.json": json.dumps(shared),
        "pytorch_to_imagenet_2012_id.json": json.dumps({str(label): 999 - label for label in range(1000)}),
        "imagenet_to_label_2012_v2": "".join(f"{names[999 - number]}\n" for number in range(1000)),
    }
    write(folder / "mappings", mappings)
    return truth
