"""Places365's three tars, and what Places205's two unpack to: images by scene, and lists of paths and labels."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, pack, pictures, write

CARDS = ("places205", "places365")


def build(place: Path, card: str) -> Truth:
    """Write 40 images a split, of some of the scenes."""
    truth, images, lines = Truth(), iter(pictures(80)), {}
    whole = card == "places365"
    for split in ("train", "val"):
        truth[split], lines[split] = {}, ""
        for number in range(40):
            label = number * 5 % 205
            name = f"{'/' if whole else ''}a/scene_{label}/gsun_{split}{number}.jpg"
            name = f"Places365_val_{number:08d}.jpg" if whole and split == "val" else name
            truth[split][name] = (label, next(images))
            lines[split] += f"{name} {label}\n"
    files = {split: {n.lstrip("/"): image for n, (_, image) in own.items()} for split, own in truth.items()}
    if whole:
        pack(place / "train_256_places365standard.tar", {f"data_256/{n}": image for n, image in files["train"].items()})
        pack(place / "val_256.tar", {f"val_256/{n}": image for n, image in files["val"].items()})
        lists = {"places365_train_standard.txt": lines["train"], "places365_val.txt": lines["val"]}
        pack(place / "filelist_places365-standard.tar", lists)
        return truth
    for split, own in files.items():
        write(place / "places205/data/vision/torralba/deeplearning/images256", own)
        write(place / "places205/trainvalsplit_places205", {f"{split}_places205.csv": lines[split]})
    return truth
