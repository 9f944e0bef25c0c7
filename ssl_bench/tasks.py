"""Task and suite cards: `tasks/<name>.toml` and `tasks/suites/<name>.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError
from ssl_bench.images import InputCard

ROOM = "tasks"
SUITE_ROOM = "tasks/suites"


@dataclasses.dataclass(frozen=True)
class Splits:
    """Which part of the source plays which role. `train[:800]` slices, `train+val` joins, empty means there is none."""

    train: str = "train"
    val: str = ""
    """Empty: a protocol that selects hyper-parameters holds out a part of train itself."""
    test: str = "test"
    order: Literal["source", "tfds"] = "source"
    """Order in which slices count: the source's own, or that of TensorFlow Datasets, which VTAB's slices rest on."""
    key: str = "{id}"
    """For the order "tfds": how its keys are made of a sample's `{id}`, or of the id's last `{folder}` and `{file}`."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the images come from, for readers and for the plan."""

    url: str = ""
    licence: str = ""
    citation: str = ""
    bytes: int = 0
    """Size of the download."""
    manual: str = ""
    """What a person must do by hand, where a licence asks for it."""


@dataclasses.dataclass(frozen=True)
class Shift:
    """A further test set of the same classes under other conditions."""

    data: Mapping[str, Any]
    """Options of the reader."""
    reader: str = ""
    """Empty: the task's own."""
    split: str = "test"
    """Which part of the source; `1+2+3` joins."""
    classes: tuple[int, ...] = ()
    """For a set of some of the classes: the training label that each of its labels 0, 1, … stands for. Answers are then
    sought among these alone. Empty: its labels are the training labels."""
    normaliser: float = 0.0
    """Error of a reference network on this set, as a fraction, by which errors are divided; 0: there is none."""


ROLES = ("train", "val", "test")
"""Names that no shift can have."""
SHIFT_METRICS = ("shift_top1", "mce")
"""Headlines of tasks of the kind "robustness"."""


@dataclasses.dataclass(frozen=True)
class TaskCard:
    """One question to a backbone: a dataset, its splits, its labels and the metric."""

    name: str
    title: str
    reader: str
    """A module of `ssl_bench/datasets/`, or "your_package.module"."""
    classes: int
    """Number of classes; labels are 0 … classes - 1. 0 where there are none."""
    kind: Literal["classification", "robustness", "unlabelled", "retrieval"] = "classification"
    """"robustness" asks of the further test sets in `shifts` what is learnt on train; "unlabelled" has images alone,
    for protocols that read no label; "retrieval" has a gallery as train, queries as test, and judgements of what is
    to be found."""
    metric: str = "top1"
    """The headline metric, a name in `ssl_bench/metrics/`."""
    ceiling: float | None = None
    """Best value of the headline metric that can be reached, where label noise or a published bound keeps it from the
    metric's own best."""
    version: int = 1
    """Rises when a number would."""
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the reader; paths are relative to the data folder."""
    splits: Splits = Splits()
    shifts: Mapping[str, Shift] = dataclasses.field(default_factory=dict)
    """Name to further test set, for the kind "robustness"."""
    class_names: tuple[str, ...] = ()
    """In words, by label, where the dataset's own are none or no words."""
    prompts: tuple[str, ...] = ()
    """Templates of texts for zero-shot classification, with {} for the class's name."""
    source: Source = Source()
    note: str = ""
    """The catch of this dataset, if it has one."""

    def __post_init__(self) -> None:
        if bool(self.shifts) != (self.kind == "robustness"):
            raise UsageError('a task has shifts if, and only if, its kind is "robustness"')
        if self.shifts and self.metric not in SHIFT_METRICS:
            raise UsageError(f"the metric of a task with shifts is one of {', '.join(SHIFT_METRICS)}")
        for name, shift in self.shifts.items():
            if name in ROLES or "/" in name:
                raise UsageError(f"a shift cannot be called {name!r}")
            if len(set(shift.classes)) < len(shift.classes) or not set(shift.classes) <= set(range(self.classes)):
                raise UsageError(f"shifts.{name}.classes must be different labels from 0 to {self.classes - 1}")
            if shift.normaliser < 0 or (self.metric == "mce" and not shift.normaliser):
                raise UsageError(f"shifts.{name}.normaliser must be above 0 for the metric mce, and never below 0")


@dataclasses.dataclass(frozen=True)
class SuiteCard:
    """Groups of tasks, how they are asked, and how their values become one."""

    name: str
    title: str
    groups: Mapping[str, tuple[str, ...]]
    """Group name to task names."""
    protocols: tuple[str, ...] = ("knn", "logistic_regression")
    input: InputCard = InputCard()
    """What the suite prescribes of every model's input, such as VTAB's squash."""
    aggregate: Literal["mean_of_tasks", "mean_of_groups"] = "mean_of_tasks"
    version: int = 1
    note: str = ""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task once, in the card's order."""
        return tuple(dict.fromkeys(task for group in self.groups.values() for task in group))


def get(name: str, shelves: Shelves | None = None) -> TaskCard:
    """Return the task card for a name or a path; raises UsageError that names the nearest known tasks."""
    return cards.read_card((shelves or Shelves()).find(ROOM, "task", name), TaskCard)


def get_suite(name: str, shelves: Shelves | None = None) -> SuiteCard:
    """Return the suite card for a name or a path; raises UsageError for an unknown suite or an empty one."""
    path = (shelves or Shelves()).find(SUITE_ROOM, "suite", name)
    suite = cards.read_card(path, SuiteCard)
    if not suite.tasks:
        raise UsageError(f"{path}: the suite names no task")
    return suite


def names(shelves: Shelves | None = None) -> dict[str, Path]:
    """Return every task card's name and file."""
    return (shelves or Shelves()).names(ROOM)


def suite_names(shelves: Shelves | None = None) -> dict[str, Path]:
    """Return every suite card's name and file."""
    return (shelves or Shelves()).names(SUITE_ROOM)
