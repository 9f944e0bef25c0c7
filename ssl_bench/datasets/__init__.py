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

from ssl_bench.datasets import splits
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, SslBenchError, UsageError, did_you_mean
from ssl_bench.predictions import Judgements
from ssl_bench.tasks import Shift, TaskCard

NOT_READERS = frozenset(("base", "checks", "containers", "deflated", "index", "labels", "splits"))


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
    with _naming(card, module):
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
    with _naming(card, module):
        roles = splits.assign(card.splits, module.load(card.data, root))
        for role, split in roles.items():
            check_labels(card.classes, role, split)
        for name, shift in card.shifts.items():
            roles[name] = _shifted(card, name, shift, root, roles["train"].class_names)
    return roles


def judgements(card: TaskCard, root: Path) -> Judgements | None:
    """Return what is to be found in a retrieval task; None for any other kind. Raises what `load` raises."""
    if card.kind != "retrieval":
        return None
    module = reader(card.reader)
    with _naming(card, module):
        found: Judgements = module.judgements(card.data, root)
    return found


def fetch(card: TaskCard, root: Path) -> None:
    """Download a task's data into `root`; raise MissingError with the manual step where a person must do it."""
    module = reader(card.reader)
    if not callable(getattr(module, "fetch", None)):
        raise MissingError(f"task {card.name!r}: ssl-bench cannot download it. {_how_to_get(card, module)}")
    try:
        module.fetch(card.data, root)
    except SslBenchError as error:
        raise type(error)(f"task {card.name!r}: {error}") from error


def check_labels(classes: int, role: str, split: Split) -> None:
    """Raise DataError where a role is empty or its labels or class names do not fit the card's number of classes."""
    if not len(split):
        raise DataError(f"{role} holds no samples")
    if not classes:
        return
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high >= classes:
        bad = low if low < 0 else high
        sample = split.ids[int((split.labels == bad).argmax())]
        raise DataError(f"{role} has the label {bad} ({sample!r}), outside 0 to {classes - 1}, the card's classes")
    if split.class_names and len(split.class_names) != classes:
        raise DataError(f"{role} has {len(split.class_names)} classes, but the card says {classes}")


def _shifted(card: TaskCard, name: str, shift: Shift, root: Path, names: tuple[str, ...]) -> Split:
    """Return a further test set with training labels; `names` are the training classes.

    Raises DataError where its labels do not fit, or where a class of one name has two labels, as when a folder lacks.
    """
    split = splits.select(shift.split, reader(shift.reader or card.reader).load(shift.data, root))
    classes = np.array(shift.classes or range(card.classes))
    check_labels(len(classes), f"the shift {name}", split)
    for label, class_name in zip(classes, split.class_names, strict=False):
        if class_name in names and names.index(class_name) != label:
            raise DataError(
                f"the shift {name} has the class {class_name!r} where the card says label {label}, which is "
                f"{names[label]!r} in train; complete its folders or list its labels in shifts.{name}.classes"
            )
    return dataclasses.replace(split, labels=classes[split.labels], class_names=())


@contextlib.contextmanager
def _naming(card: TaskCard, module: Any) -> Iterator[None]:
    """Let errors name the task and, where data is missing, say how to get it."""
    try:
        yield
    except MissingError as error:
        text = f"task {card.name!r}: {error}"
        raise MissingError(text if "pip install" in text else f"{text}. {_how_to_get(card, module)}") from error
    except SslBenchError as error:
        raise type(error)(f"task {card.name!r}: {error}") from error


def _how_to_get(card: TaskCard, module: Any) -> str:
    """Return the sentence that says how to get a task's data."""
    size = f" ({card.source.bytes / 1e6:,.0f} MB)" if card.source.bytes else ""
    if card.source.manual:
        return f"Get it{size}: {card.source.manual}"
    if callable(getattr(module, "fetch", None)):
        return f"Get it{size}: ssl-bench fetch --task {card.name}"
    return f"Get it{size} from {card.source.url}" if card.source.url else "Its card names no source."
