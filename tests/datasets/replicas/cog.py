"""ImageNet-21k's folders, and the two pickles of ImageNet-CoG: concepts by level, and files by concept and split."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np

from tests.datasets.replicas import Truth, pictures, write

CARDS = tuple(f"cog_l{level}" for level in range(1, 6))


def build(place: Path, card: str) -> Truth:
    """Put two train and one test image of each of the level's 1,000 concepts, and name the other levels' too."""
    level, image = int(card[-1]), pictures(1)[0]
    levels = [[f"n{10 * number + step:08d}" for number in range(1000)][::-1] for step in range(5)]
    names = {wnid: [f"{wnid}/{wnid}_{i}.JPEG" for i in (10, 2, 5)] for concepts in levels for wnid in concepts}
    files = {wnid: {"train": np.array(own[:2]), "test": np.array(own[2:])} for wnid, own in names.items()}
    write(place / "imagenet-cog", {"cog_levels_mapping_file.pkl": pickle.dumps(levels)})
    write(place / "imagenet-cog", {"cog_concepts_split_file.pkl": pickle.dumps(files)})
    write(place / "imagenet21k", {"first": image})
    truth: Truth = {"train": {}, "test": {}}
    for label, wnid in enumerate(sorted(levels[level - 1])):
        (place / "imagenet21k" / wnid).mkdir()
        for number, name in enumerate(names[wnid]):
            os.link(place / "imagenet21k/first", place / "imagenet21k" / name)
            truth["test" if number == 2 else "train"][name] = (label, image)
    return truth
