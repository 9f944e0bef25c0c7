"""CLEVR_v1.0.zip: PNG images and, for all but those of test, scenes in JSON."""

from __future__ import annotations

import json
from pathlib import Path

from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("vtab1k_clevr_count", "vtab1k_clevr_distance", "vtab_clevr_count", "vtab_clevr_distance")
SPLITS = {"train": "train[:9]", "val": "train[9:12]", "test": "val"}
DEPTHS = (12.0, 7.9, 8.0, 8.4, 9.2, 9.9, 11.0, 13.0)
"""In the order of the objects that scenes list, as many as they have."""


def build(place: Path, card: str) -> Truth:
    """Write the archive: 12 scenes to train on, 8 to validate, of three to eight objects."""
    images, files, truth = iter(pictures(22, form="png")), {}, Truth()
    for split, count in (("train", 12), ("val", 8), ("test", 2)):
        scenes, members = [], {}
        for i in range(count):
            name, image = f"CLEVR_{split}_{i:06d}.png", next(images)
            files[f"CLEVR_v1.0/images/{split}/{name}"] = image
            depths = (DEPTHS * 2)[i % 8 : i % 8 + 3 + i % 6]
            things = [{"color": "red", "pixel_coords": [100, 120, depth]} for depth in depths]
            scenes.append({"image_index": i, "image_filename": name, "objects": things})
            nearest = sum(min(depths) > bound for bound in (8.0, 8.5, 9.0, 9.5, 10.0))
            members[name] = (len(depths) - 3 if card.endswith("count") else nearest, image)
        if split != "test":
            files[f"CLEVR_v1.0/scenes/CLEVR_{split}_scenes.json"] = json.dumps({"info": {}, "scenes": scenes})
            truth[split] = members
    pack(place / "CLEVR_v1.0.zip", files | {"CLEVR_v1.0/README.txt": "CLEVR"})
    return truth
