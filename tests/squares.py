"""Small images with objects, for tests of what finds them: squares in two colours, in COCO's form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ssl_bench.tasks import Splits, TaskCard

COLOURS = np.array([[220, 60, 40], [40, 80, 230]], dtype=np.uint8)
SIDE = 16


def square(number: int, size: tuple[int, int] = (48, 64)) -> tuple[NDArray[np.uint8], list[tuple[int, int, int]]]:
    """Return an image (height, width, 3), and its objects: class, left and top; every fourth image has none."""
    generator = np.random.default_rng(number)
    image = generator.integers(110, 146, (*size, 3)).astype(np.uint8)
    objects = []
    for label in range(0 if number % 4 == 3 else 2):
        left = label * size[1] // 2 + int(generator.integers(0, size[1] // 2 - SIDE + 1))
        top = int(generator.integers(0, size[0] - SIDE + 1))
        image[top : top + SIDE, left : left + SIDE] = COLOURS[label]
        objects.append((label, left, top))
    return image, objects


def write(folder: Path, *, outlined: bool = False, train: int = 8, test: int = 4) -> Path:
    """Write `<split>/` of images and `<split>.json` into `folder`; image 0 of train has a crowd besides."""
    for split, count, first in (("train", train, 0), ("test", test, 100)):
        (folder / split).mkdir(parents=True)
        content: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
        content["categories"] = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
        for number in range(first, first + count):
            image, objects = square(number, (48, 64) if split == "train" else (40 + number % 3, 64))
            Image.fromarray(image).save(folder / split / f"{number}.png")
            height, width = image.shape[:2]
            content["images"].append({"id": number, "file_name": f"{number}.png", "height": height, "width": width})
            for label, left, top in objects:
                content["annotations"].append(row(content, number, label + 1, (left, top, SIDE, SIDE)))
            if number == 0:
                content["annotations"].append(row(content, 0, 1, (0, 0, width, height)) | {"iscrowd": 1})
        if outlined:
            for one in content["annotations"]:
                left, top, wide, high = one["bbox"]
                right, bottom = left + wide, top + high
                one["segmentation"] = [[left, top, right, top, right, bottom, left, bottom]]
        (folder / f"{split}.json").write_text(json.dumps(content))
    return folder


def row(content: dict[str, Any], image: int, category: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    number = len(content["annotations"]) + 1
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box), "area": box[2] * box[3]}


def card(folder: Path) -> TaskCard:
    """Return the task of what `write` wrote."""
    places = {
        split: {"images": f"{folder}/{split}", "annotations": f"{folder}/{split}.json"} for split in ("train", "test")
    }
    return TaskCard(
        "squares",
        "Squares",
        "coco",
        2,
        kind="detection",
        metric="coco_ap50",
        data={"splits": places, "labels": "boxes"},
        splits=Splits("train", "", "test"),
    )
