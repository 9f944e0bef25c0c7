"""COCO 2017's zips of images, read in place, and that of the JSON files of their objects; category ids have gaps."""

from __future__ import annotations

import json
from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("coco2017",)


def build(place: Path) -> Truth:
    """Put both splits: 45 images, two objects in most of them and none in some."""
    truth, images, told = Truth(), iter(pictures(90)), {}
    ids = [number + number // 9 for number in range(1, 81)]
    categories = [{"id": category, "name": f"thing {category}", "supercategory": "thing"} for category in ids]
    for split, where in tasks.get("coco2017").data["splits"].items():
        truth[split], listed, objects = {}, [], []
        for number in range(45):
            name, held = f"{number + 1:012d}.jpg", sorted({number, 79 - number} if number % 9 else set())
            listed.append({"id": number + 7, "file_name": name, "width": 32, "height": 32})
            objects += [
                {
                    "id": 1,
                    "image_id": number + 7,
                    "category_id": ids[k],
                    "area": 20.0,
                    "bbox": [1, 1, 5, 5],
                    "iscrowd": 0,
                }
                for k in held
            ]
            truth[split][name] = ([int(k in held) for k in range(80)], next(images))
        found = {"images": listed, "annotations": objects, "categories": categories}
        told[where["annotations"].removeprefix("coco/")] = json.dumps(found)
        pack(
            place / Path(where["images"]).name,
            {f"{where['inside']}/{n}": image for n, (_, image) in truth[split].items()},
        )
    pack(place / "annotations_trainval2017.zip", told)
    return truth
