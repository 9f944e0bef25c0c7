"""Encoded images in Parquet files: a column of bytes, or of Hugging Face's struct {bytes, path}, and some of labels.

A row group is read when one of its rows is asked for, and the last few are kept, still encoded.
"""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean, reason

GROUPS_KEPT = 8


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    files: Mapping[str, str]
    """Split name to a file or a pattern such as "data/train-*.parquet", relative to the data folder."""
    image: str = "image"
    """Column of encoded images."""
    label: str = "label"
    """Column of whole numbers, or of lists of them, where any number of classes may hold; with `classes`, of words."""
    labels: tuple[str, ...] = ()
    """Instead: a column per class that says whether it holds, 1, or not, 0, or is too hard to say, -1."""
    classes: tuple[str, ...] = ()
    """The classes in words, in the order of their labels; empty: as the files name them, if they do."""
    id: str = ""
    """Column of the samples' names; empty: a sample is called by its row number in its split."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files of every split; raise MissingError for a pattern that fits none."""
    chosen = cards.from_table(Options, options, "data")
    return [path for pattern in chosen.files.values() for path in _files(root, pattern)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that `files` names, files in order of name.

    Class names come from the card or the schema's metadata, key `class_names` or Hugging Face's own. Raises DataError
    for a damaged file, columns of other types, labels that do not fit and names that occur twice; UsageError for a
    column that is not there.
    """
    chosen = cards.from_table(Options, options, "data")
    return {name: _load_split(_files(root, pattern), chosen) for name, pattern in chosen.files.items()}


@dataclasses.dataclass(eq=False)
class Rows:
    """The images of several files' rows, one file after the other."""

    groups: tuple[tuple[Path, int], ...]
    """File and number of each row group."""
    starts: tuple[int, ...]
    """Position of each row group's first row, and the number of all rows."""
    column: str
    _kept: dict[int, Any] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return self.starts[-1]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": {}}

    def read(self, index: int) -> bytes:
        """Return the encoded bytes of row `index`; raise DataError where the row has none."""
        group = int(np.searchsorted(self.starts, index, side="right")) - 1
        column = self._kept.get(group)
        if column is None:
            column = self._read_group(group)
        data = column[index - self.starts[group]].as_py()
        if data is None:
            path, number = self.groups[group]
            raise DataError(f"row {index - self.starts[group]} of row group {number} of {path} holds no image")
        return bytes(data)

    def _read_group(self, group: int) -> Any:
        """Return one row group's encoded images as an Arrow array, and keep it; threads may do so at the same time."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path, number = self.groups[group]
        try:
            with pq.ParquetFile(path) as file:
                nested = pa.types.is_struct(file.schema_arrow.field(self.column).type)
                wanted = f"{self.column}.bytes" if nested else self.column
                table = file.read_row_group(number, columns=[wanted], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read row group {number} of {path}: {error}") from error
        column = table.column(0).combine_chunks()
        column = column.field("bytes") if nested else column
        for oldest in list(self._kept)[: 1 - GROUPS_KEPT]:
            self._kept.pop(oldest, None)
        self._kept[group] = column
        return column


def _files(root: Path, pattern: str) -> list[Path]:
    found = sorted(path for path in root.glob(pattern) if path.is_file())
    if not found:
        raise MissingError(f"no file fits {root / pattern}")
    return found


def _load_split(paths: list[Path], options: Options) -> Split:
    import pyarrow as pa
    import pyarrow.parquet as pq

    groups, lengths, tables = [], [0], []
    class_names = options.labels or options.classes
    wanted = [*(options.labels or [options.label]), *filter(None, [options.id])]
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                _check_columns(path, file.schema_arrow, options.image, wanted)
                class_names = class_names or _class_names(path, file.schema_arrow, options.label)
                tables.append(file.read(columns=wanted))
                for number in range(file.num_row_groups):
                    groups.append((path, number))
                    lengths.append(file.metadata.row_group(number).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
    starts = np.cumsum(lengths).tolist()
    found = [_labels(table, options, class_names, str(path)) for path, table in zip(paths, tables, strict=True)]
    ids = [str(one) for table in tables for one in table[options.id].to_pylist()] if options.id else range(starts[-1])
    if len(set(ids)) < len(ids):
        twice = collections.Counter(ids).most_common(1)[0][0]
        raise DataError(f"{paths[0].parent}: two rows of a split have the {options.id} {twice!r}")
    source = Rows(tuple(groups), tuple(starts), options.image)
    return Split(source, np.arange(starts[-1]), tuple(map(str, ids)), np.concatenate(found), class_names)


def _labels(table: Any, options: Options, classes: tuple[str, ...], path: str) -> NDArray[np.int64]:
    """Return a file's labels, (rows,) or (rows, classes)."""
    import pyarrow as pa

    if options.labels:
        columns = [table[name].to_numpy() for name in options.labels]
        return labels.flags(np.stack(columns, axis=1), f"{path}: {', '.join(options.labels)}")
    column, where = table[options.label], f"{path}: {options.label}"
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        rows = column.to_pylist()
        return labels.numbered([_whole(row, number, where) for number, row in enumerate(rows)], classes, where)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        if not options.classes:
            raise UsageError(f"{where} holds words; name them in data.classes, in the order of their labels")
        return labels.ranked([str(one) for one in column.to_pylist()], options.classes)[0]
    return labels.whole(column.to_numpy(), where)


def _whole(row: Any, number: int, where: str) -> list[int]:
    if row is None or not all(isinstance(one, int) for one in row):
        raise DataError(f"{where}: row {number} holds {row!r}, not a list of whole numbers")
    return list(row)


def _check_columns(path: Path, schema: Any, image: str, others: list[str]) -> None:
    import pyarrow as pa

    for name in (image, *others):
        if name not in schema.names:
            known = ", ".join(schema.names)
            raise UsageError(f"{path} has no column {name!r}.{did_you_mean(name, schema.names)} It has: {known}")
    kind = schema.field(image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"{path}: the column {image!r} holds {kind}, not the bytes of images")


def _class_names(path: Path, schema: Any, label: str) -> tuple[str, ...]:
    """Return the class names that the schema's metadata give, or none."""
    metadata = schema.metadata or {}
    try:
        if b"class_names" in metadata:
            return tuple(map(str, json.loads(metadata[b"class_names"])))
        if b"huggingface" in metadata:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            feature = features.get(label, {})
            return tuple((feature.get("feature") or feature).get("names", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: the class names in its metadata cannot be read: {reason(error)}") from error
    return ()
