"""iNaturalist's archives: images by species, and a packed JSON file per split; category ids are not in order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pack, pictures

CARDS = tuple(f"inaturalist{year}" for year in ("2017", "2018", "2019", "2021", "2021_mini"))


def build(place: Path, card: str) -> Truth:
    """Write every archive that the card names: 40 images a split, of some of the species."""
    found = tasks.get(card)
    categories = [{"id": i, "name": f"Species {i}", "supercategory": "Plantae"} for i in range(found.classes)][::-1]
    truth, images, lists = Truth(), iter(pictures(80)), {}
    for split, path in found.data["splits"].items():
        folder = found.data["images"][0] if len(found.data["images"]) == 1 else Path(path).stem
        truth[split], listed, said = {}, [], []
        for number in range(40):
            label = number * 7 % found.classes
            name = f"{folder}/{label:05d}/{split}{number}.jpg"
            listed.append({"id": 900 - number, "file_name": name, "width": 32, "height": 32})
            said.append({"id": number, "image_id": 900 - number, "category_id": label})
            truth[split][name] = (label, next(images))
        lists[Path(path).name] = json.dumps({"images": listed, "annotations": said[::-1], "categories": categories})
    for file in found.source.files:
        pack(place / file.urls[0].rpartition("/")[2], _inside(file.path.rpartition("/")[2], truth, lists))
    return truth


def _inside(name: str, truth: Truth, lists: dict[str, str]) -> dict[str, Any]:
    """Return what the archive of a folder or file called `name` holds."""
    if name in lists:
        return {name: lists[name]}
    images = {path: image for members in truth.values() for path, (_, image) in members.items()}
    return {path: image for path, image in images.items() if path.startswith(f"{name}/")} or dict(lists)
