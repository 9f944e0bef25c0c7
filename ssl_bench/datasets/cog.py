"""ImageNet-CoG: five levels of 1,000 concepts of ImageNet-21k, ever farther from ImageNet-1k's.

Two pickles of the authors say what belongs to a level: cog_levels_mapping_file.pkl, a list of five lists of WordNet
ids, and cog_concepts_split_file.pkl, for each id the files of "train" and "test", paths below the folder of images.
The second takes about 700 MB and is held in memory while a level is listed. Labels follow the sorted ids
(Sariyildiz et al., Concept Generalization in Visual Representation Learning, 2021; naver/cog data/).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers, pickles
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, UsageError, reason

LEVELS = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder of ImageNet-21k, <wnid>/<image>, relative to the data folder."""
    levels: str
    """cog_levels_mapping_file.pkl, relative to the data folder."""
    splits: str
    """cog_concepts_split_file.pkl, relative to the data folder."""
    level: int
    """1 to 5."""

    def __post_init__(self) -> None:
        if not 1 <= self.level <= LEVELS:
            raise UsageError(f"level is {self.level}, and ImageNet-CoG has the levels 1 to {LEVELS}")


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the two pickles and the folder of images, which is not walked: it holds 14 million files.

    Raises MissingError that names all absent.
    """
    chosen = cards.from_table(Options, options, "data")
    paths = [root / chosen.levels, root / chosen.splits, root / chosen.path]
    containers.require(*paths)
    return paths


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the level's splits "train" and "test", concepts and files sorted; an id is a path in the images' folder.

    Raises DataError for pickles of another form, and MissingError for a concept whose folder is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    locate(options, root)
    concepts, files = _level(root / chosen.levels, root / chosen.splits, chosen.level)
    for concept in concepts:
        if not (root / chosen.path / concept).is_dir():
            raise MissingError(f"level {chosen.level} needs the folder {root / chosen.path / concept}")
    found = {}
    for split, by_concept in files.items():
        ids = tuple(name for names in by_concept for name in names)
        counts = [len(names) for names in by_concept]
        labels = np.repeat(np.arange(len(concepts)), counts)
        found[split] = Split(containers.Files(root / chosen.path, ids), np.arange(len(ids)), ids, labels, concepts)
    return found


def _level(levels: Path, splits: Path, level: int) -> tuple[tuple[str, ...], dict[str, list[list[str]]]]:
    """Return the level's concepts, and for each split their lists of files."""
    try:
        concepts = tuple(sorted(map(str, pickles.read(levels)[level - 1])))
        of = pickles.read(splits)
        files = {
            split: [sorted(str(name).lstrip("/") for name in of[concept][split]) for concept in concepts]
            for split in ("train", "test")
        }
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"{levels} and {splits} do not give the files of level {level}: {reason(error)}") from error
    return concepts, files
