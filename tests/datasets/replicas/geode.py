"""GeoDE's folder of images and index.csv: every object in every region."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import Truth, classes, pictures, write

CARDS = ("geode",)


def build(place: Path) -> Truth:
    """Put three images of each of 40 objects in each region; the first of them by the md5 of its path is train."""
    regions = {shift.split: name for name, shift in tasks.get("geode").shifts.items()}
    truth: Truth = {name: {} for name in ("train", "test", *regions.values())}
    images, rows = iter(pictures(40 * 3 * len(regions))), ["Unnamed: 0,object,region,ip_country,file_path"]
    for region, name in regions.items():
        for label, kind in enumerate(classes(40, "thing")):
            own = [f"{region}/{kind}_{i}.jpg" for i in range(3)]
            own.sort(key=lambda path: hashlib.md5(path.encode()).hexdigest())
            for path, split in zip(own, ("train", "test", "test"), strict=True):
                image = next(images)
                rows.append(f"{len(rows)},{kind},{region},Nigeria,{path}")
                write(place / "geode/images", {path: image})
                truth[split][path] = (label, image)
                if split == "test":
                    truth[name][path] = (label, image)
    write(place / "geode", {"index.csv": "\n".join(rows) + "\n"})
    return truth
