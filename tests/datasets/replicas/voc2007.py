"""VOC2007's two tars, read in place: lists of images, a list per class and split, and annotations."""

from __future__ import annotations

from pathlib import Path

from ssl_bench import tasks
from tests.datasets.replicas import Truth, pack, pictures

CARDS = ("voc2007",)
NAMES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)


def build(place: Path) -> Truth:
    """Put both tars: 25 images a split, of each of which some classes hold and some are too hard to say."""
    truth, images = Truth(), iter(pictures(75))
    for split in tasks.get("voc2007").data["splits"]:
        truth[split] = {}
        for number in range(25):
            holds = [int((number + label) % 20 in (0, 3)) - int((number + label) % 20 == 7) for label in range(20)]
            truth[split][f"{len(truth) * 1000 + number:06d}"] = (holds, next(images))
    inside = "VOCdevkit/VOC2007"
    for path in dict.fromkeys(tasks.get("voc2007").data["splits"].values()):
        files: dict[str, bytes | str] = {}
        for split, where in tasks.get("voc2007").data["splits"].items():
            if where == path:
                files |= {f"{inside}/JPEGImages/{name}.jpg": image for name, (_, image) in truth[split].items()}
                files |= _lists(f"{inside}/ImageSets/Main", split, truth[split])
        pack(place / Path(path).name, files)
    return truth


def _lists(folder: str, split: str, members: dict[str, tuple[list[int], bytes]]) -> dict[str, str]:
    lists = {f"{folder}/{split}.txt": "".join(f"{name}\n" for name in members)}
    for label, word in enumerate(NAMES):
        said = {1: " 1", 0: "-1", -1: " 0"}
        lines = [f"{name} {said[holds[label]]}\n" for name, (holds, _) in members.items()]
        lists[f"{folder}/{word}_{split}.txt"] = "".join(lines)
    return lists
