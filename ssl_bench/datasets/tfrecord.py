"""Encoded images in TFRecord files of tf.train.Example, as DMLab comes and as TensorFlow Datasets writes them.

A record is its length (uint64), the length's masked CRC-32C, the data and theirs, all little-endian. The checksum of
the length is checked, so a file that is cut or of another kind is found out; that of the data is not, as decoding an
image does the same. An Example is read by its Protocol Buffers wire format: a map from names to lists.
"""

from __future__ import annotations

import dataclasses
import mmap
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.pieces import Pieces
from ssl_bench.errors import DataError, MissingError

Span = tuple[int, int]
"""First byte and the one after the last."""
BYTES_LIST, INT64_LIST = 1, 3
"""Field numbers in tf.train.Feature."""
VARINT, LENGTH = 0, 2
"""Wire types of Protocol Buffers; the others, 1 and 5, have 8 and 4 bytes."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder of the files, relative to the data folder; they may lie deeper in it."""
    splits: Mapping[str, str]
    """Split name to how its files' names begin, such as "dmlab-train.tfrecord"."""
    image: str = "image"
    """The feature that holds the encoded image."""
    label: str = "label"
    """The feature that holds the label, a whole number."""
    id: str = ""
    """The feature that holds the sample's name; empty: its number in the split."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files of all splits; raise MissingError for a folder or a split that is not there."""
    chosen = cards.from_table(Options, options, "data")
    return [path for paths in _files(chosen, root).values() for path in paths]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that `splits` names, samples in the order of the files' names and of the records.

    Raises DataError for files that are no such records and for records without the features.
    """
    chosen = cards.from_table(Options, options, "data")
    return {split: _load_split(paths, chosen) for split, paths in _files(chosen, root).items()}


def _files(options: Options, root: Path) -> dict[str, list[Path]]:
    folder = root / options.path
    if not folder.is_dir():
        raise MissingError(f"there is no folder {folder}")
    found = containers.files_of(folder)
    splits = {split: [p for p in found if p.name.startswith(begin)] for split, begin in options.splits.items()}
    for split, paths in splits.items():
        if not paths:
            raise MissingError(f"there is no file {options.splits[split]}* in {folder}")
    return splits


def _load_split(paths: list[Path], options: Options) -> Split:
    places: list[tuple[int, int, int]] = []
    labels: list[int] = []
    ids: list[str] = []
    for file_number, path in enumerate(paths):
        with path.open("rb") as file:
            if not path.stat().st_size:
                continue
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                for record in records(data, path):
                    try:
                        (start, stop), label, name = _sample(data, record, options)
                    except (ValueError, struct.error) as error:
                        raise DataError(f"{path}: the record at byte {record[0]} {error}") from error
                    places.append((file_number, start, stop - start))
                    labels.append(label)
                    ids.append(name if options.id else str(len(ids)))
    if len(set(ids)) < len(ids):
        raise DataError(f"{paths[0].parent}: two records have the same {options.id!r}")
    source = Pieces(tuple(paths), np.array(places, dtype=np.int64).reshape(-1, 3))
    return Split(source, np.arange(len(ids)), tuple(ids), np.array(labels, dtype=np.int64))


def _sample(data: mmap.mmap, record: Span, options: Options) -> tuple[Span, int, str]:
    """Return where a record's image lies, its label and its name."""
    features = example(data, record)
    for name in (options.image, options.label, *filter(None, [options.id])):
        if name not in features:
            raise ValueError(f"has no feature {name!r}; it has {', '.join(sorted(features))}")
    image = _only(features[options.image], BYTES_LIST, options.image)
    label = _only(features[options.label], INT64_LIST, options.label)
    start, stop = _only(features[options.id], BYTES_LIST, options.id) if options.id else (0, 0)
    return image, label, data[start:stop].decode()


def _only(feature: tuple[int, list[Any]], kind: int, name: str) -> Any:
    if feature[0] != kind or len(feature[1]) != 1:
        what = "text" if kind == BYTES_LIST else "whole number"
        raise ValueError(f"holds not one {what} as {name!r}")
    return feature[1][0]


def records(data: Any, path: Path) -> Iterator[Span]:
    """Yield where each record's data lie; raise DataError naming `path` where the file is no whole TFRecord file."""
    position = 0
    while position < len(data):
        head = data[position : position + 12]
        if len(head) < 12 or struct.unpack_from("<I", head, 8)[0] != masked_crc32c(head[:8]):
            raise DataError(f"{path} is no TFRecord file or damaged at byte {position}. Download or unpack it again.")
        start = position + 12
        stop = start + struct.unpack_from("<Q", head)[0]
        if stop + 4 > len(data):
            raise DataError(f"{path} ends inside the record at byte {position}. Download or unpack it again.")
        yield start, stop
        position = stop + 4


def example(data: Any, span: Span) -> dict[str, tuple[int, list[Any]]]:
    """Return an Example's features: name to (field number of the list, values).

    A text is given as the span where it lies, a whole number as itself; lists of other kinds are empty. Raises
    ValueError for bytes that are no Example.
    """
    features: dict[str, tuple[int, list[Any]]] = {}
    for entries in _texts(data, span, 1):  # Example.features
        for entry in _texts(data, entries, 1):  # Features.feature, a map
            [(start, stop)] = _texts(data, entry, 1) or [(0, 0)]
            kind, values = 0, []
            for value in _texts(data, entry, 2):
                for kind, where in _fields(data, value):
                    values = _values(data, kind, where)
            features[data[start:stop].decode()] = kind, values
    return features


def _values(data: Any, kind: int, where: Span | int) -> list[Any]:
    if isinstance(where, int):
        raise ValueError("is no tf.train.Example")
    if kind == BYTES_LIST:
        return _texts(data, where, 1)
    if kind != INT64_LIST:
        return []
    numbers: list[int] = []
    for field, value in _fields(data, where):
        if field == 1 and isinstance(value, int):
            numbers.append(_signed(value))
        elif field == 1 and isinstance(value, tuple):  # packed: one after the other
            position = value[0]
            while position < value[1]:
                number, position = _varint(data, position, value[1])
                numbers.append(_signed(number))
    return numbers


def _texts(data: Any, span: Span, number: int) -> list[Span]:
    """Return the spans of the fields called `number` that have a length."""
    return [value for field, value in _fields(data, span) if field == number and isinstance(value, tuple)]


def _fields(data: Any, span: Span) -> Iterator[tuple[int, Span | int]]:
    """Yield a message's fields: number and, by the wire type, the span of their bytes or a whole number."""
    position, stop = span
    while position < stop:
        tag, position = _varint(data, position, stop)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, position = _varint(data, position, stop)
            yield number, value
            continue
        if wire == LENGTH:
            size, position = _varint(data, position, stop)
        else:
            size = {1: 8, 5: 4}.get(wire, stop)
        if position + size > stop:
            raise ValueError("is no tf.train.Example")
        yield number, (position, position + size)
        position += size


def _varint(data: Any, position: int, stop: int) -> tuple[int, int]:
    """Return the number that begins at `position`, seven bits a byte, lowest first, and where it ends."""
    number = 0
    for shift in range(0, 70, 7):
        if position >= stop:
            break
        byte = data[position]
        position += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, position
    raise ValueError("is no tf.train.Example")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC = _crc_table()


def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli; RFC 3720, B.4) of a few bytes."""
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC[(value ^ byte) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def masked_crc32c(data: bytes) -> int:
    """Return the checksum as TFRecord files hold it: turned right by 15 bits, plus a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF
