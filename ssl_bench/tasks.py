"""Task and suite cards: `tasks/<name>.toml` and `tasks/suites/<name>.toml`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ssl_bench import aggregators, cards
from ssl_bench.aggregators import Aggregator
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.images import InputCard

ROOM = "tasks"
SUITE_ROOM = "tasks/suites"


@dataclasses.dataclass(frozen=True)
class Splits:
    """Which part of the source plays which role. `train[:800]` slices, `train+val` joins, empty means there is none."""

    train: str = "train"
    """Empty for a task of a kind that has none: "few_shot", "correspondence" and "video"."""
    val: str = ""
    """Empty: a protocol that selects hyper-parameters holds out a part of train itself."""
    test: str = "test"
    order: Literal["source", "tfds"] = "source"
    """Order in which slices count: the source's own, or that of TensorFlow Datasets, which VTAB's slices rest on."""
    key: str = "{id}"
    """For the order "tfds": how its keys are made of a sample's `{id}`, or of the id's last `{folder}` and `{file}`."""


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """A file of the source that anybody may download.

    Built-in cards have their sizes and checksums from the lists of TensorFlow Datasets (url_checksums) and torchvision.
    """

    path: str
    """What it becomes, a file or a folder, relative to the data folder."""
    urls: tuple[str, ...]
    """Where it is, in the order in which it is asked for."""
    bytes: int = 0
    """Size of the download; 0 where it is not known."""
    sha256: str = ""
    md5: str = ""
    """For a file whose source publishes no sha256."""
    unpack: str = ""
    """What of it becomes `path`: a folder or file in the archive, or "." for all of it; empty: it is kept as it is."""

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9a-f]{64}", self.sha256 or "0" * 64) or not re.fullmatch(
            "[0-9a-f]{32}", self.md5 or "0" * 32
        ):
            raise UsageError("a sha256 has 64 and an md5 32 digits 0-9 and a-f")
        if not (self.sha256 or self.md5) or not self.urls:
            raise UsageError(f"the file {self.path!r} needs urls, and a sha256 or md5 to know it by")
        if self.path.startswith("/") or ".." in self.path.split("/") or self.path in ("", "."):
            raise UsageError(f"the path {self.path!r} must lead to a place in the data folder")


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the images come from, for readers and for the plan."""

    url: str = ""
    licence: str = ""
    citation: str = ""
    bytes: int = 0
    """Size of the download, with what a person must get; 0 where it is not known."""
    manual: str = ""
    """What a person must do by hand, where a licence asks for it or no address can be relied on."""
    files: tuple[SourceFile, ...] = ()
    """What `ssl-bench data fetch` downloads; with `manual` besides, a part of the data. Empty: nothing."""
    samples: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """How many samples each role, or shift, has; `ssl-bench data check` compares."""
    digest: str = ""
    """The task digest of the true data, where somebody has read them whole; `ssl-bench data check` compares."""


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
Kind = Literal[
    "classification",
    "few_shot",
    "multilabel",
    "robustness",
    "unlabelled",
    "retrieval",
    "segmentation",
    "depth",
    "normals",
    "detection",
    "correspondence",
    "video",
]
UNTRAINED = ("few_shot", "correspondence", "video")
"""Kinds that have no train."""
MOST_CLASSES = 255
"""Of a segmentation task: a mask takes one byte a pixel, and 255 says that a pixel counts for none."""
DENSE = ("segmentation", "depth", "normals", "detection", "correspondence", "video")
"""Kinds that ask of the parts of an image, whose splits have targets instead of labels."""
SHIFT_METRICS = ("shift_top1", "mce")
"""Headlines of tasks of the kind "robustness"."""
MULTILABEL_METRICS = ("mean_average_precision", "mean_roc_auc", "voc07_map")
"""Headlines of tasks of the kind "multilabel"."""


@dataclasses.dataclass(frozen=True)
class TaskCard:
    """One question to a backbone: a dataset, its splits, its labels and the metric."""

    name: str
    title: str
    reader: str
    """A module of `ssl_bench/datasets/`, or "your_package.module"."""
    classes: int
    """Number of classes; labels are 0 … classes - 1. 0 where there are none."""
    kind: Kind = "classification"
    """"few_shot" has test alone, of which episodes are drawn; in "multilabel" any number of classes may hold of an
    image; "robustness" asks of the further test sets in `shifts` what is learnt on train; "unlabelled" has images
    alone, for protocols that read no label; "retrieval" has a gallery as train, queries as test, and judgements of what
    is to be found; "segmentation" asks for a class, "depth" for a distance and "normals" for a direction of every
    pixel, "detection" for the objects, with their outlines where the data have them, "correspondence" for the
    places of one object in an image of another, and "video" for the objects of a first frame in all that follow."""
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
        if self.kind == "segmentation" and not 1 < self.classes <= MOST_CLASSES:
            raise UsageError(f"a segmentation task has 2 to {MOST_CLASSES} classes, not {self.classes}")
        if bool(self.splits.train) == (self.kind in UNTRAINED):
            known = " or ".join(f'"{kind}"' for kind in UNTRAINED)
            raise UsageError(f"splits.train is empty if, and only if, the kind of a task is {known}")
        if bool(self.shifts) != (self.kind == "robustness"):
            raise UsageError('a task has shifts if, and only if, its kind is "robustness"')
        if self.shifts and self.metric not in SHIFT_METRICS:
            raise UsageError(f"the metric of a task with shifts is one of {', '.join(SHIFT_METRICS)}")
        if (self.kind == "multilabel") != (self.metric in MULTILABEL_METRICS):
            known = ", ".join(MULTILABEL_METRICS)
            raise UsageError(f'the metric is one of {known} if, and only if, the kind of a task is "multilabel"')
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
    asked_by: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """Group name to the protocols that ask its tasks, where these are not `protocols`."""
    input: InputCard = InputCard()
    """What the suite prescribes of every model's input, such as VTAB's squash."""
    aggregate: str = aggregators.DEFAULT
    """Name and version of an aggregator, such as "vtab.mean19@1"; see `ssl_bench/aggregators.py`."""
    version: int = 1
    note: str = ""

    def __post_init__(self) -> None:
        for group in self.asked_by:
            if group not in self.groups:
                known = ", ".join(self.groups)
                raise UsageError(
                    f"asked_by: there is no group {group!r}.{did_you_mean(group, self.groups)} It has: {known}"
                )
        wanted = self.aggregator.tasks
        if wanted and wanted != len(self.tasks):
            raise UsageError(f"aggregate: {self.aggregate} is for {wanted} tasks, and the suite has {len(self.tasks)}")

    @property
    def aggregator(self) -> Aggregator:
        """How the values of the tasks become one."""
        return aggregators.get(self.aggregate)

    @property
    def all_protocols(self) -> tuple[str, ...]:
        """Every protocol that asks a task, once, in the card's order."""
        asked = [self.asked_by.get(group, self.protocols) for group in self.groups]
        return tuple(dict.fromkeys(protocol for protocols in asked for protocol in protocols))

    def asks(self, protocol: str) -> dict[str, tuple[str, ...]]:
        """Return the groups whose tasks a protocol asks: all of them for one that the suite does not name."""
        asked = {name: self.groups[name] for name in self.groups if protocol in self.asked_by.get(name, self.protocols)}
        return asked or dict(self.groups)

    @property
    def tasks(self) -> tuple[str, ...]:
        """Every task once, in the card's order."""
        return tuple(dict.fromkeys(task for group in self.groups.values() for task in group))


def get(name: str, shelves: Shelves | None = None) -> TaskCard:
    """Return the task card for a name or a path; raises UsageError that names the nearest known tasks."""
    return read((shelves or Shelves()).find(ROOM, "task", name))


def read(path: Path) -> TaskCard:
    """Return the task card in a file."""
    return cards.read_card(path, TaskCard)


def get_suite(name: str, shelves: Shelves | None = None) -> SuiteCard:
    """Return the suite card for a name or a path; raises UsageError for an unknown suite or an empty one."""
    return read_suite((shelves or Shelves()).find(SUITE_ROOM, "suite", name))


def read_suite(path: Path) -> SuiteCard:
    """Return the suite card in a file; raise UsageError for one that names no task."""
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
