"""Images listed in a CSV file: a column of paths into a folder or archive, one of labels and, often, one of splits."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive of images, relative to the data folder."""
    list: str
    """The CSV file with a header: its name within `path`, or else its path relative to the data folder."""
    label: str
    """Column of labels. Its values become classes by rank: as numbers where all are whole, else as text."""
    image: str = "path"
    """Column of paths within `path`."""
    split_column: str = ""
    """Column that names each image's split; empty: all belong to the split "train"."""
    classes: tuple[str, ...] = ()
    """The label column's values in the order of their classes, where that is not their rank."""
    bins: int = 0
    """Instead of ranks, join the label column's numbers into this many classes of equal width over `range`."""
    range: tuple[float, ...] = ()
    """Lower end (inside) and upper end (outside) of the bins."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder, and the list where it lies outside.

    Raises MissingError for what is not there; whether an archive holds the list, `load` finds out.
    """
    chosen = cards.from_table(Options, options, "data")
    files = containers.files_of(root / chosen.path)
    outside = root / chosen.list
    if outside.is_file():
        return files if outside in files else [*files, outside]
    if (root / chosen.path).is_dir() and not (root / chosen.path / chosen.list).is_file():
        raise MissingError(f"there is no list {outside}")
    return files


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that the list names, rows in its order; an id is the path in the list.

    Raises DataError for a path that is not there or listed twice and for labels outside the bins, UsageError for an
    unknown column.
    """
    chosen = cards.from_table(Options, options, "data")
    listing = containers.listing(root / chosen.path)
    where = f"{chosen.path}: {chosen.list}"
    rows = _rows(_text(listing, root / chosen.list, chosen), chosen, where)
    found, class_names = _labels([row[chosen.label] for row in rows], chosen, where)
    names = [row[chosen.image] for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where} lists {twice!r} twice")
    source = listing.source(names)
    members: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        members.setdefault(row[chosen.split_column] if chosen.split_column else "train", []).append(position)
    return {
        split: Split(source, np.array(own), tuple(names[i] for i in own), found[own], class_names)
        for split, own in members.items()
    }


def _text(listing: Listing, outside: Path, options: Options) -> str:
    if options.list in listing.spans:
        data = listing.read(options.list)
    elif outside.is_file():
        data = outside.read_bytes()
    else:
        raise MissingError(f"there is no list {options.list!r} in {listing.path}, and no file {outside}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{options.list} of {listing.path} is not UTF-8 text: {error.reason}") from error


def _rows(text: str, options: Options, where: str) -> list[dict[str, str]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    columns = reader.fieldnames or []
    for name in (options.image, options.label, *filter(None, [options.split_column])):
        if name not in columns:
            known = ", ".join(columns)
            raise UsageError(f"{where} has no column {name!r}.{did_you_mean(name, columns)} It has: {known}")
    rows = list(reader)
    for row in rows:
        if None in row.values() or None in row:
            raise DataError(f"{where}: the line of {row[options.image]!r} has not as many fields as the header")
    if not rows:
        raise DataError(f"{where} lists no images")
    return rows


def _labels(values: list[str], options: Options, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    if not options.bins:
        return labels.ranked(values, options.classes)
    if len(options.range) != 2 or options.range[0] >= options.range[1]:
        raise UsageError(f"data.range must be two rising numbers where data.bins is set, not {list(options.range)}")
    return labels.binned(values, options.bins, *options.range, where=f"{where}: {options.label}"), ()
