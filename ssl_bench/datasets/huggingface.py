"""Hugging Face datasets, kept as `save_to_disk` writes them; `fetch` downloads one at a pinned revision.

Images are handed on as the encoded bytes that the dataset holds, never decoded and encoded again.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean, missing_package
from ssl_bench.files import lock


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`: a dataset of the hub by `name` and `revision`, or any folder of `save_to_disk` by `path`."""

    name: str = ""
    """Such as "uoft-cs/cifar10"."""
    revision: str = ""
    """The commit of the dataset's repository, all 40 digits: a branch that moves would move a number."""
    config: str = ""
    """Configuration, for a dataset that has several."""
    path: str = ""
    """Folder relative to the data folder; empty: made of name, configuration and revision."""
    image: str = "image"
    """Column of images."""
    label: str = "label"
    """Column of labels, or of lists of them, where any number of classes may hold; with `classes`, of words."""
    classes: tuple[str, ...] = ()
    """The classes in words, in the order of their labels; empty: as the dataset names them, if it does."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files of the folder; raise MissingError where it is not there, without importing `datasets`."""
    folder = root / _folder(_chosen(options))
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}")
    return containers.files_of(folder)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the dataset's splits, or "train" for a dataset without; an id is the row number.

    Raises DataError for a folder that `save_to_disk` did not write and labels that do not fit, UsageError for an
    unknown column.
    """
    chosen = _chosen(options)
    locate(options, root)
    folder = root / _folder(chosen)
    return {name: _load_split(folder, name, split, chosen) for name, split in _open(folder).items()}


def fetch(options: Mapping[str, Any], root: Path) -> None:
    """Download the dataset into the data folder, whole or not at all; raise MissingError where that fails.

    The library keeps what arrived, and goes on with it at the next call. Several processes do the work once.
    """
    chosen = _chosen(options)
    if not chosen.name:
        raise UsageError("data.name is empty: there is nothing to download")
    folder = root / _folder(chosen)
    library = _library()
    temporary = folder.with_name(f".{folder.name}.fetch")
    with lock(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return
        try:
            found = library.load_dataset(chosen.name, chosen.config or None, revision=chosen.revision)
            shutil.rmtree(temporary, ignore_errors=True)
            found.save_to_disk(temporary)
            temporary.rename(folder)
        except (OSError, ValueError, RuntimeError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise MissingError(f"cannot download {chosen.name} at {chosen.revision} to {folder}: {reason}") from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@dataclasses.dataclass(eq=False)
class Rows:
    """The images of one split, in memory-mapped files that each process opens."""

    folder: Path
    split: str
    column: str
    length: int
    _opened: Any = None

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, index: int) -> bytes:
        """Return the encoded bytes of row `index`; raise DataError where the row has none."""
        if self._opened is None:
            undecoded = _library().Image(decode=False)
            self._opened = _open(self.folder)[self.split].select_columns([self.column])
            self._opened = self._opened.cast_column(self.column, undecoded)
        image = self._opened[index][self.column]
        if image is None or (image["bytes"] is None and image["path"] is None):
            raise DataError(f"row {index} of {self.split} in {self.folder} holds no image")
        return image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()


def _chosen(options: Mapping[str, Any]) -> Options:
    chosen = cards.from_table(Options, options, "data")
    if not chosen.name and not chosen.path:
        raise UsageError("data: name a dataset of the hub (name, revision) or a folder (path)")
    if chosen.name and not re.fullmatch(r"[0-9a-f]{40}", chosen.revision):
        raise UsageError(f"data.revision must be a commit of 40 digits, not {chosen.revision!r}: branches move")
    return chosen


def _folder(options: Options) -> str:
    if options.path:
        return options.path
    name = "--".join(filter(None, (*options.name.split("/"), options.config)))
    return f"huggingface/{name}@{options.revision[:12]}"


def _library() -> Any:
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise missing_package("datasets", "huggingface", "a Hugging Face dataset") from error
    return datasets


def _open(folder: Path) -> dict[str, Any]:
    library = _library()
    try:
        found = library.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise DataError(f"{folder} is no whole dataset of `save_to_disk`: {error}") from error
    return dict(found) if isinstance(found, library.DatasetDict) else {"train": found}


def _load_split(folder: Path, name: str, split: Any, options: Options) -> Split:
    for column in (options.image, options.label):
        if column not in split.column_names:
            known = ", ".join(split.column_names)
            hint = did_you_mean(column, split.column_names)
            raise UsageError(f"{folder} has no column {column!r}.{hint} It has: {known}")
    if not isinstance(split.features[options.image], _library().Image):
        raise DataError(f"{folder}: the column {options.image!r} holds {split.features[options.image]}, not images")
    found, class_names = _labels(split, options, f"{folder}: {options.label}")
    rows = np.arange(len(found))
    source = Rows(folder, name, options.image, len(found))
    return Split(source, rows, tuple(map(str, rows.tolist())), found, class_names)


def _labels(split: Any, options: Options, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return labels, (samples,) or (samples, classes), and the classes in words."""
    feature = split.features[options.label]
    inner = getattr(feature, "feature", None)
    classes = options.classes or tuple(getattr(inner or feature, "names", None) or ())
    values = split.with_format("numpy")[options.label][:] if inner is None else split[options.label][:]
    if inner is not None:
        if not all(isinstance(one, int) for own in values for one in (own if own is not None else [None])):
            raise DataError(f"{where} holds lists of {inner}, not of whole numbers")
        return labels.numbered(values, classes, where), classes
    if getattr(feature, "dtype", "") in ("string", "large_string"):
        if not options.classes:
            raise UsageError(f"{where} holds words; name them in data.classes, in the order of their labels")
        return labels.ranked([str(one) for one in values], classes)[0], classes
    return labels.whole(values, where), classes
