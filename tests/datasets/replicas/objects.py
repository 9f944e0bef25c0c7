"""Images with objects: VOC's tars, BCCD and a tar of VOC's photographs in its form, COCO's and LVIS's zips and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import tasks
from ssl_bench.targets import Objects, outlines
from tests.datasets.replicas import BY_HAND, Truth, pack, pictures

CARDS = ("bccd", "coco2017_detection", "lvis_v1", "voc0712_detection", "voc100")
SPLITS = {"train": "all[:3]", "test": "all[3:]"}
SIDE = 32
Files = dict[str, bytes | str]


def build(place: Path, card: str) -> Truth:
    """Put a card's archives: five images a split, all classes among their objects, and none in one image."""
    data, classes = tasks.get(card).data, tasks.get(card).classes
    if tasks.get(card).reader == "coco":
        return coco(place, data["splits"], classes, federated=card == "lvis_v1")
    downloaded = bool(tasks.get(card).source.files)
    truth, packed = Truth(), dict[str, Files]()
    for split, path in data["splits"].items():
        truth[split] = {}
        inside = data.get("insides", {}).get(split, data.get("inside", ""))
        for number, image in enumerate(pictures(5 * len(truth))[-5:]):
            name, own = f"{len(truth)}_{number:06d}", objects(number, classes)
            truth[split][name] = (own, image)
            files = packed.setdefault(path, {})
            files[f"{inside}/{data.get('images', 'JPEGImages')}/{name}.jpg".lstrip("/")] = image
            files[f"{inside}/{data.get('annotations', 'Annotations')}/{name}.xml".lstrip("/")] = xml(own, data)
        if split != "all":
            lines = "".join(f"{name}\n" for name in truth[split])
            packed[path][f"{inside}/ImageSets/Main/{data.get('lists', {}).get(split, split)}.txt"] = lines
    for path, files in packed.items():
        pack(place / (Path(path).name if downloaded else path), files)
    return truth


def objects(number: int, classes: int, **changes: Any) -> Objects:
    """Return every fourth class's object, from `number` on; image 4 has none."""
    labels = np.arange(number, classes, 4) if number < 4 else np.zeros(0, dtype=np.int64)
    corners = np.stack([labels % 20, labels % 17], axis=1).astype(np.float64)
    boxes = np.concatenate([corners, corners + np.array([5, 7])], axis=1)
    no = np.zeros(len(labels), dtype=np.bool_)
    found = Objects((SIDE, SIDE), boxes, labels, np.full(len(labels), 35.0), no, labels % 3 == 1)
    return found if not changes else Objects(**{**vars(found), **changes})


def xml(own: Objects, data: Any) -> str:
    """Return VOC's annotation, with a slip of one pixel where the card leaves such out."""
    rows = [
        f"<object><name>{data['classes'][label]}</name><difficult>{int(hard)}</difficult><bndbox>"
        + "".join(f"<{key}>{value:g}</{key}>" for key, value in zip(("xmin", "ymin"), box[:2] + 1, strict=True))
        + "".join(f"<{key}>{value:g}</{key}>" for key, value in zip(("xmax", "ymax"), box[2:], strict=True))
        + "</bndbox></object>"
        for label, hard, box in zip(own.labels, own.difficult, own.boxes, strict=True)
    ]
    if data.get("least"):
        sides = "<xmin>4</xmin><ymin>4</ymin><xmax>4</xmax><ymax>4</ymax>"
        rows.append(f"<object><name>{data['classes'][0]}</name><bndbox>{sides}</bndbox></object>")
    size = f"<size><width>{SIDE}</width><height>{SIDE}</height><depth>3</depth></size>"
    return f"<annotation>{size}{''.join(rows)}</annotation>"


def coco(place: Path, splits: Any, classes: int, *, federated: bool) -> Truth:
    truth, told = Truth(), Files()
    images: dict[str, Files] = {"train2017": {}, "val2017": {}}
    ids = [label + label // 9 + 1 for label in range(classes)]
    for split, where in splits.items():
        truth[split], listed, annotations = {}, [], []
        for number, image in enumerate(pictures(5 * len(truth))[-5:]):
            folder = "train2017" if federated and number % 2 else f"{split}2017"
            name = f"{5 * len(truth) + number:012d}.jpg"
            own = seen(number, classes, federated=federated)
            truth[split][f"{folder}/{name}" if federated else name] = (own, image)
            images[folder][f"{folder}/{name}"] = image
            row: dict[str, Any] = {"id": number + 7, "height": SIDE, "width": SIDE}
            if own.absent is None or own.partial is None:
                row["file_name"] = name
            else:
                row |= {"coco_url": f"http://images.cocodataset.org/{folder}/{name}"}
                row["neg_category_ids"] = [ids[label] for label in own.absent]
                row["not_exhaustive_category_ids"] = [ids[label] for label in own.partial]
            listed.append(row)
            annotations += rows(own, number + 7, ids, len(annotations))
        categories = [{"id": category, "name": f"thing {category}"} for category in ids]
        flat = {"id": 0, "image_id": 7, "category_id": 1, "area": 0, "bbox": [1, 1, 0, 3], "iscrowd": 0}
        content = {"images": listed[::-1], "annotations": [flat, *annotations], "categories": categories}
        told[where["annotations"]] = json.dumps(content)
    for folder, files in images.items():
        pack(place / f"{folder}.zip", files)
    if federated:
        for path, text in told.items():
            (place / BY_HAND / path).parent.mkdir(parents=True, exist_ok=True)
            (place / BY_HAND / path).write_text(str(text))
    else:
        pack(place / "annotations_trainval2017.zip", {path.removeprefix("coco/"): text for path, text in told.items()})
    return truth


def seen(number: int, classes: int, *, federated: bool) -> Objects:
    """Return objects with outlines, some of them crowds, and what LVIS says besides."""
    plain = objects(number, classes)
    runs = []
    for left, top, right, bottom in plain.boxes.astype(int):
        mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
        mask[top:bottom, left:right] = True
        runs.append(outlines.encode(mask))
    no = np.zeros(len(plain.labels), dtype=np.bool_)
    changes = {"outlines": tuple(runs), "crowd": no if federated else plain.labels % 5 == 2, "difficult": no}
    known = {"absent": np.array([1, 6]), "partial": np.array([number])} if federated else {}
    return objects(number, classes, **changes, **known)


def rows(own: Objects, image: int, ids: list[int], first: int) -> list[dict[str, Any]]:
    """Return COCO's annotations: polygons, and runs of crowds."""
    found = []
    for label, box, area, crowd, text in zip(own.labels, own.boxes, own.areas, own.crowd, own.outlines, strict=True):
        left, top, right, bottom = box.tolist()
        shape: Any = [[left, top, right, top, right, bottom, left, bottom]]
        if crowd:
            shape = {"counts": outlines.lengths(text).tolist(), "size": [SIDE, SIDE]}
        row = {"id": first + len(found) + 1, "image_id": image, "category_id": ids[label], "segmentation": shape}
        row |= {"bbox": [left, top, right - left, bottom - top], "area": area, "iscrowd": int(crowd)}
        found.append(row)
    return found
