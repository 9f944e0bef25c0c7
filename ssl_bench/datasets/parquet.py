"""Encoded images in Parquet files: a column of bytes, or of Hugging Face's struct {bytes, path}, and one of labels.

A row group is read when one of its rows is asked for, and the last few are kept, still encoded.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import labels
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, MissingError, UsageError, did_you_mean

GROUPS_KEPT = 8


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    files: Mapping[str, str]
    """Split name to a file or a pattern such as "data/train-*.parquet", relative to the data folder."""
    image: str = "image"
    """Column of encoded images."""
    label: str = "label"
    """Column of whole numbers."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files of every split; raise MissingError for a pattern that fits none."""
    chosen = cards.from_table(Options, options, "data")
    return [path for pattern in chosen.files.values() for path in _files(root, pattern)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that `files` names, files in order of name; an id is the row number in its split.

    Class names come from the schema's metadata, key `class_names` or Hugging Face's own.
    Raises DataError for a damaged file and columns of other types, UsageError for a column that is not there.
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

    groups, lengths, found = [], [0], []
    class_names: tuple[str, ...] = ()
    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                _check_columns(path, file.schema_arrow, options)
                class_names = class_names or _class_names(path, file.schema_arrow, options.label)
                values = file.read(columns=[options.label]).column(0)
                for number in range(file.num_row_groups):
                    groups.append((path, number))
                    lengths.append(file.metadata.row_group(number).num_rows)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"cannot read {path}: {error}") from error
        found.append(labels.whole(values.to_numpy(), f"{path}: {options.label}"))
    starts = np.cumsum(lengths).tolist()
    source = Rows(tuple(groups), tuple(starts), options.image)
    rows = np.arange(starts[-1])
    return Split(source, rows, tuple(map(str, rows.tolist())), np.concatenate(found), class_names)


def _check_columns(path: Path, schema: Any, options: Options) -> None:
    import pyarrow as pa

    for name in (options.image, options.label):
        if name not in schema.names:
            known = ", ".join(schema.names)
            raise UsageError(f"{path} has no column {name!r}.{did_you_mean(name, schema.names)} It has: {known}")
    kind = schema.field(options.image).type
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        kind = kind.field("bytes").type
    if not (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)):
        raise DataError(f"{path}: the column {options.image!r} holds {kind}, not the bytes of images")


def _class_names(path: Path, schema: Any, label: str) -> tuple[str, ...]:
    """Return the class names that the schema's metadata give, or none."""
    metadata = schema.metadata or {}
    try:
        if b"class_names" in metadata:
            return tuple(map(str, json.loads(metadata[b"class_names"])))
        if b"huggingface" in metadata:
            features = json.loads(metadata[b"huggingface"])["info"]["features"]
            return tuple(features.get(label, {}).get("names", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: the class names in its metadata cannot be read: {error!r}") from error
    return ()
