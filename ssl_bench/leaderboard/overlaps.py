"""Which tasks share images with which data of pretraining: a card per dataset, `leaderboard/datasets/<name>.toml`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError

ROOM = "leaderboard/datasets"
PREFIXES = ("vtab1k_", "vtab_", "medmnist_", "cdfsl_")
"""Of tasks whose names say which benchmark prepared a dataset."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Data of pretraining that a task's images may come from."""

    name: str
    title: str
    tasks: tuple[str, ...]
    """Tasks some of whose images, of any split, are in it."""
    also: tuple[str, ...] = ()
    """Further words by which people call it."""
    source: str = ""
    """Where it is said what the dataset holds (an address, or a paper's table)."""

    def __post_init__(self) -> None:
        if not self.tasks:
            raise UsageError("the dataset names no task, so nothing can be told of it")


def read_all(shelves: Shelves | None = None) -> dict[str, Dataset]:
    """Return every dataset's card by its name."""
    return {name: cards.read_card(path, Dataset) for name, path in (shelves or Shelves()).names(ROOM).items()}


def overlapping(data: Iterable[str], tasks: Iterable[str], datasets: Mapping[str, Dataset]) -> dict[str, str]:
    """Return, of `tasks`, those that share images with declared pretraining data, each with the words that say so.

    A task also shares images with what is called as it is: `vtab1k_svhn` with "SVHN, extra".
    """
    words = {declared: f" {_words(declared)} " for declared in data}
    found = {}
    for task in tasks:
        names = [task.removeprefix(prefix) for prefix in PREFIXES if task.startswith(prefix)] or [task]
        for one in datasets.values():
            if task in one.tasks:
                names += [one.name, one.title, *one.also]
        spoken = {f" {_words(name)} " for name in names}
        hits = (declared for declared, text in words.items() if any(name in text for name in spoken))
        if hit := next(hits, None):
            found[task] = hit
    return found


def _words(text: str) -> str:
    """Return words and numbers: "CIFAR-10", "cifar10" and "CIFAR 10" are one."""
    return " ".join(re.findall("[a-z]+|[0-9]+", text.lower()))
