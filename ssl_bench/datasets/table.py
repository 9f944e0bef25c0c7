"""Images listed in a table (CSV, TSV or Parquet): a column of paths into a folder or archive, one or several of labels
and, often, one of splits."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
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
    """The table, a .csv or .tsv file with a header or a .parquet file: its name within `path`, or else its path
    relative to the data folder."""
    label: str = ""
    """Column of labels. Its values become classes by rank: as numbers where all are whole, else as text."""
    separator: str = ""
    """What divides several labels in that column, such as "|"; any number of classes may then hold."""
    labels: tuple[str, ...] = ()
    """Instead: a column per class that says whether it holds, 1, or not, 0, or is too hard to say, -1."""
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
    chosen = _options(options)
    listing = containers.listing(root / chosen.path)
    where = f"{chosen.path}: {chosen.list}"
    rows = _rows(_content(listing, root / chosen.list, chosen), chosen, where)
    found, class_names = _flags(rows, chosen, where) if chosen.labels else _labels(rows, chosen, where)
    names = [row[chosen.image] for row in rows]
    if len(set(names)) < len(names):
        twice = collections.Counter(names).most_common(1)[0][0]
        raise DataError(f"{where} lists {twice!r} twice")
    source = listing.source(names)
    members: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        members.setdefault(row[chosen.split_column] if chosen.split_column else "train", []).append(position)
    return {
        split: Split(source, np.array(own), tuple(names[i] for i in own), found[own], class_names)
        for split, own in members.items()
    }


def _options(options: Mapping[str, Any]) -> Options:
    chosen = cards.from_table(Options, options, "data")
    if bool(chosen.label) == bool(chosen.labels):
        raise UsageError("data: name either the column of labels (label) or a column per class (labels)")
    return chosen


def _content(listing: Listing, outside: Path, options: Options) -> bytes:
    if options.list in listing.spans:
        return listing.read(options.list)
    if outside.is_file():
        return outside.read_bytes()
    raise MissingError(f"there is no list {options.list!r} in {listing.path}, and no file {outside}")


def _rows(content: bytes, options: Options, where: str) -> list[dict[str, str]]:
    """Return the rows, every value as text; raise UsageError for an unknown column, DataError for a list of none."""
    columns, rows = (_parquet if options.list.endswith(".parquet") else _text)(content, options, where)
    for name in filter(None, (options.image, options.label, options.split_column, *options.labels)):
        if name not in columns:
            known = ", ".join(columns)
            raise UsageError(f"{where} has no column {name!r}.{did_you_mean(name, columns)} It has: {known}")
    if not rows:
        raise DataError(f"{where} lists no images")
    return rows


Rows = tuple[Sequence[str], list[dict[str, str]]]
"""Names of columns, and rows."""


def _text(content: bytes, options: Options, where: str) -> Rows:
    try:
        text = io.StringIO(content.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not UTF-8 text: {error.reason}") from error
    reader = csv.DictReader(text, delimiter="\t" if options.list.endswith(".tsv") else ",")
    rows = list(reader)
    for number, row in enumerate(rows):
        if None in row.values() or None in row:
            name = row.get(options.image) or f"row {number}"
            raise DataError(f"{where}: the line of {name!r} has not as many fields as the header")
    return reader.fieldnames or [], rows


def _parquet(content: bytes, options: Options, where: str) -> Rows:
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = {options.image, options.label, options.split_column, *options.labels} - {""}
    try:
        table = pq.read_table(pa.BufferReader(content))
        rows = table.select([name for name in table.column_names if name in wanted]).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read {where}: {error}") from error
    for number, row in enumerate(rows):
        for name, value in row.items():
            if not isinstance(value, str | int | float):
                raise DataError(f"{where}: row {number} has no text or number in the column {name!r}, but {value!r}")
    return table.column_names, [{name: _word(value) for name, value in row.items()} for row in rows]


def _word(value: str | float) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


Found = tuple[NDArray[np.int64], tuple[str, ...]]
"""Labels, (rows,) or (rows, classes), and the classes in words."""


def _labels(rows: list[dict[str, str]], options: Options, where: str) -> Found:
    values = [row[options.label] for row in rows]
    if options.separator:
        parts = [[one.strip() for one in value.split(options.separator) if one.strip()] for value in values]
        return labels.several(parts, options.classes)
    if not options.bins:
        return labels.ranked(values, options.classes)
    if len(options.range) != 2 or options.range[0] >= options.range[1]:
        raise UsageError(f"data.range must be two rising numbers where data.bins is set, not {list(options.range)}")
    return labels.binned(values, options.bins, *options.range, where=f"{where}: {options.label}"), ()


def _flags(rows: list[dict[str, str]], options: Options, where: str) -> Found:
    found = np.zeros((len(rows), len(options.labels)), dtype=np.int64)
    for number, row in enumerate(rows):
        for column, name in enumerate(options.labels):
            try:
                value = float(row[name])
            except ValueError:
                value = 2.0
            if value not in (-1, 0, 1):
                raise DataError(
                    f"{where}: {row[options.image]!r} has {row[name]!r} as {name!r}, which is not 1, 0 or -1"
                )
            found[number, column] = value
    return found, options.labels
