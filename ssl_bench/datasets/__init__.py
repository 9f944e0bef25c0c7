"""Datasets: a reader per place that images come from, named in a task card by its module's name.

`load` gives the roles that a card asks for; `index.build` adds the digests that say what was measured on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench.datasets import sources, splits
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, SslBenchError, UsageError, did_you_mean
from ssl_bench.files import megabytes
from ssl_bench.predictions import Judgements
from ssl_bench.progress import Progress
from ssl_bench.tasks import DENSE, Shift, TaskCard

NOT_READERS = frozenset(
    (
        "base",
        "checks",
        "coco_objects",
        "containers",
        "deflated",
        "index",
        "labels",
        "pickles",
        "pieces",
        "rows",
        "sources",
        "splits",
        "surfaces",
        "unpacking",
        "voc_objects",
    )
)


def readers() -> tuple[str, ...]:
    """Return the names of the built-in readers."""
    return tuple(sorted({path.stem for path in Path(__file__).parent.glob("[a-z]*.py")} - NOT_READERS))


def reader(name: str) -> Any:
    """Return the reader's module: a built-in one by its name, another by its dotted path, "your_package.module".

    Raises UsageError for an unknown name and a module that lacks `locate` or `load`.
    """
    if "." not in name and name not in readers():
        raise UsageError(f"no reader is called {name!r}.{did_you_mean(name, readers())} Known: {', '.join(readers())}")
    dotted = name if "." in name else f"{__name__}.{name}"
    try:
        module = importlib.import_module(dotted)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{dotted}.".startswith(f"{error.name}."):
            raise
        raise UsageError(f"the reader {name!r} is not importable: there is no module {error.name!r}") from error
    for function in ("locate", "load"):
        if not callable(getattr(module, function, None)):
            raise UsageError(f"the reader {name!r} has no function {function}(options, root)")
    return module


def locate(card: TaskCard, root: Path) -> list[Path]:
    """Return the files that hold a task's data, found without reading them.

    Raises MissingError that says what is missing, how large it is and how to get it.
    """
    module = reader(card.reader)
    with _naming(card, root):
        paths: list[Path] = module.locate(card.data, root)
        for shift in card.shifts.values():
            paths += reader(shift.reader or card.reader).locate(shift.data, root)
    return paths


def load(card: TaskCard, root: Path) -> dict[str, Split]:
    """Return the roles "train", "test" and, if the card has one, "val"; and the card's shifts by their names.

    Raises MissingError as `locate`; DataError for what is there but cannot be used, for labels that do not fit the
    card's classes and for roles that share a sample; UsageError for options and splits that the source does not know.
    """
    module = reader(card.reader)
    with _naming(card, root):
        roles = splits.assign(card.splits, module.load(card.data, root))
        for role, split in roles.items():
            check_labels(card.classes, role, split, card.kind)
        for name, shift in card.shifts.items():
            roles[name] = _shifted(card, name, shift, root, roles["train"].class_names)
    return roles


def judgements(card: TaskCard, root: Path) -> Judgements | None:
    """Return what is to be found in a retrieval task; None for any other kind. Raises what `load` raises."""
    if card.kind != "retrieval":
        return None
    module = reader(card.reader)
    with _naming(card, root):
        found: Judgements = module.judgements(card.data, root)
    return found


def automatic(card: TaskCard) -> bool:
    """Tell whether `fetch` can get a task's data, or a part of it, without a person's help."""
    return bool(card.source.files) or callable(getattr(reader(card.reader), "fetch", None))


def fetch(card: TaskCard, root: Path, progress: Progress | None = None, mirror: str = "") -> None:
    """Download a task's data into `root`: the files that its card names, or what its reader gets from a library.

    `mirror` is asked first for files of the card. Raises MissingError with the manual step where a person must do it,
    and otherwise what `sources.fetch` raises.
    """
    module = reader(card.reader)
    if not automatic(card):
        raise MissingError(f"task {card.name!r}: ssl-bench cannot download it. {_how_to_get(card, root)}")
    try:
        sources.fetch(card.source.files, root, progress or Progress(), mirror)
        if not card.source.files:
            module.fetch(card.data, root)
    except SslBenchError as error:
        raise type(error)(f"task {card.name!r}: {error}") from error


def check_labels(classes: int, role: str, split: Split, kind: str = "classification") -> None:
    """Raise DataError where a role is empty or its labels or class names do not fit the card's kind and classes."""
    if not len(split):
        raise DataError(f"{role} holds no samples")
    if (split.truth is not None) != (kind in DENSE):
        has = "targets of its parts" if split.truth is not None else "no targets of its parts"
        raise DataError(f"{role} has {has}, which the card's kind {kind!r} does not allow; correct the card")
    if split.truth is not None and len(split.truth) != len(split.source):
        raise ValueError(f"{len(split.source)} images and {len(split.truth)} targets")
    if not classes or split.truth is not None:
        return _check_names(classes, role, split)
    several = split.labels.ndim == 2
    if several != (kind == "multilabel"):
        held = "several labels" if several else "one label"
        raise DataError(f"{role} has {held} per image, which the card's kind {kind!r} has not; correct the card")
    if several and split.labels.shape[1] != classes:
        raise DataError(f"{role} says of {split.labels.shape[1]} classes whether they hold, but the card has {classes}")
    first, last = (-1, 1) if several else (0, classes - 1)
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < first or high > last:
        bad = low if low < first else high
        sample = split.ids[int(np.argwhere(split.labels == bad)[0, 0])]
        range_ = f"{first} to {last}, " + ("what a label of several can be" if several else "the card's classes")
        raise DataError(f"{role} has the label {bad} ({sample!r}), outside {range_}")
    _check_names(classes, role, split)


def _check_names(classes: int, role: str, split: Split) -> None:
    if classes and split.class_names and len(split.class_names) != classes:
        raise DataError(f"{role} has {len(split.class_names)} classes, but the card says {classes}")


def _shifted(card: TaskCard, name: str, shift: Shift, root: Path, names: tuple[str, ...]) -> Split:
    """Return a further test set with training labels; `names` are the training classes.

    A label may be a set of which each is right: labels are then (samples, most), filled up with -1.
    Raises DataError where its labels do not fit, or where a class of one name has two labels, as when a folder lacks.
    """
    split = splits.select(shift.split, reader(shift.reader or card.reader).load(shift.data, root))
    classes = np.array(shift.classes or range(card.classes))
    if split.labels.ndim == 2:
        _check_sets(len(classes), f"the shift {name}", split)
    else:
        check_labels(len(classes), f"the shift {name}", split)
    for label, class_name in zip(classes, split.class_names, strict=False):
        if class_name in names and names.index(class_name) != label:
            raise DataError(
                f"the shift {name} has the class {class_name!r} where the card says label {label}, which is "
                f"{names[label]!r} in train; complete its folders or list its labels in shifts.{name}.classes"
            )
    labels = np.where(split.labels < 0, -1, classes[split.labels])
    return dataclasses.replace(split, labels=labels, class_names=())


def _check_sets(classes: int, what: str, split: Split) -> None:
    """Raise DataError where a sample of a shifted set has no label, or one that is no class of the card's."""
    wrong = (split.labels.max(axis=1, initial=-1) < 0) | (split.labels >= classes).any(axis=1)
    if not len(split) or wrong.any():
        sample = f": {split.ids[int(wrong.argmax())]!r}" if len(split) else ""
        raise DataError(f"{what} has a sample without a label from 0 to {classes - 1}{sample}")


@contextlib.contextmanager
def _naming(card: TaskCard, root: Path) -> Iterator[None]:
    """Let errors name the task and, where data is missing, say how to get it."""
    try:
        yield
    except MissingError as error:
        text = f"task {card.name!r}: {error}"
        raise MissingError(text if "pip install" in text else f"{text}. {_how_to_get(card, root)}") from error
    except SslBenchError as error:
        raise type(error)(f"task {card.name!r}: {error}") from error


def _how_to_get(card: TaskCard, root: Path) -> str:
    """Return the sentence that says how to get a task's data; of files that are here already no more is said."""
    size = f" ({megabytes(card.source.bytes)})" if card.source.bytes else ""
    fetched = bool(card.source.files and card.source.manual and not sources.missing(card.source.files, root))
    steps = [f"ssl-bench data fetch {card.name}"] if automatic(card) and not fetched else []
    steps += [card.source.manual] if card.source.manual else []
    if steps:
        return f"Get it{size}: {'; then '.join(steps)}"
    return f"Get it{size} from {card.source.url}" if card.source.url else "Its card names no source."
