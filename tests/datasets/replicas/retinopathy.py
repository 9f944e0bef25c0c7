"""Kaggle's retinas, prepared as the card says, and the lists of their grades."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, pictures, write

CARDS = ("vtab1k_retinopathy", "vtab_retinopathy")
SPLITS = {"train": "train[:12]", "val": "val[:4]", "test": "test"}


def build(place: Path) -> Truth:
    """Put 12 images to train on and 16 to test, by turns of the public and of the private leaderboard."""
    images = iter(pictures(28))
    truth: Truth = {"train": {}, "val": {}, "test": {}}
    train, test = ["image,level\n"], ["image,level,Usage\n"]
    for number in range(28):
        name = f"{number // 2 + 1}_{('left', 'right')[number % 2]}"
        split = "train" if number < 12 else ("val", "test")[number % 2]
        truth[split][name] = (number % 5, next(images))
        if split == "train":
            train.append(f"{name},{number % 5}\n")
        else:
            test.append(f"{name},{number % 5},{'Public' if split == 'val' else 'Private'}\n")
    folders = {"train": "train", "val": "test", "test": "test"}
    files = {f"{folders[s]}/{name}.jpeg": image for s, members in truth.items() for name, (_, image) in members.items()}
    write(place / "retinopathy/btgraham-300", files)
    write(place / "retinopathy", {"trainLabels.csv": "".join(train), "retinopathy_solution.csv": "".join(test)})
    return truth
