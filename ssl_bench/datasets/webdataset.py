"""WebDataset shards: tar files in which a sample is neighbouring members of one name, such as n01/7.jpg and n01/7.cls.

Shards are not unpacked: they are scanned once for where their images lie, and images are read there, by offset. What
the scan found is kept in a hidden file beside the first shard until a shard changes; where that folder cannot be
written, every run scans again, at some 40,000 members a second.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards, files
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.pieces import Pieces
from ssl_bench.errors import DataError, MissingError

VERSION = 1
"""Rises when the kept form, or what is read of the same shards, changes."""
LIST = "\x1f"
"""Stands before each of several labels, where a sample's labels are kept as one text."""
META = re.compile(r"__[^/]*__($|/)")
"""What the library itself puts into a shard beside samples."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    shards: Mapping[str, str]
    """Split to its shards, relative to the data folder: "imagenet/train-{0000..1023}.tar", "train-*.tar", or several
    such joined by "::"."""
    label: str = "cls"
    """Ending of the member that holds a sample's label; empty: samples have none. Whole numbers are labels as they are,
    other texts become classes by rank."""
    field: str = ""
    """For a member of JSON: the field that holds the label, "a.b" for one in another. A list holds several labels."""
    image: str = ""
    """Ending of the image, such as "jpg"; empty: a sample has one member only that ends as images do."""
    classes: tuple[str, ...] = ()
    """The classes in words, in the order of their labels."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return every shard; raise MissingError that names the first absent one and how many are."""
    chosen = cards.from_table(Options, options, "data")
    return [path for pattern in chosen.shards.values() for path in _shards(root, pattern)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits that `shards` names, samples in the shards' order; an id is the key, the name up to its dot.

    Raises DataError for shards that are cut or packed, for keys that occur twice, and for samples without an image or
    without a label; UsageError where labels are lists of numbers and `classes` does not say how many there are.
    """
    chosen = cards.from_table(Options, options, "data")
    shards = {split: _shards(root, pattern) for split, pattern in chosen.shards.items()}
    samples = {split: _samples(paths, chosen) for split, paths in shards.items()}
    found, classes = _labels([one for _, _, values in samples.values() for one in values], chosen)
    splits, start = {}, 0
    for split, (ids, places, _) in samples.items():
        own = found[start : start + len(ids)]
        splits[split] = Split(Pieces(tuple(shards[split]), places), np.arange(len(ids)), ids, own, classes)
        start += len(ids)
    return splits


def expanded(pattern: str) -> list[str]:
    """Return what a name with braces stands for: "a-{08..10}" and "{a,b}" as a shell writes them out."""
    match = re.search(r"\{(?:(\d+)\.\.(\d+)|([^{}]*,[^{}]*))\}", pattern)
    if match is None:
        return [pattern]
    words = match[3].split(",") if match[3] is not None else _numbers(match[1], match[2])
    return [name for word in words for name in expanded(pattern[: match.start()] + word + pattern[match.end() :])]


def _numbers(first: str, last: str) -> list[str]:
    padded = max(len(first), len(last)) if first.startswith("0") or last.startswith("0") else 0
    step = 1 if int(first) <= int(last) else -1
    return [str(number).zfill(padded) for number in range(int(first), int(last) + step, step)]


def _shards(root: Path, pattern: str) -> list[Path]:
    paths: list[Path] = []
    for name in (name for part in pattern.split("::") for name in expanded(part)):
        globbed = any(sign in name for sign in "*?[")
        found = sorted(path for path in root.glob(name) if path.is_file()) if globbed else [root / name]
        if not found:
            raise MissingError(f"no file fits {root / name}")
        paths += found
    absent = [path for path in paths if not path.is_file()]
    if absent:
        raise MissingError(f"there is no file {absent[0]}; {len(absent)} of {len(paths)} shards are absent")
    return paths


Samples = tuple[tuple[str, ...], NDArray[np.int64], list[str]]
"""Keys, places (samples, 3) as `Pieces` has them, and labels as text."""


def _samples(paths: Sequence[Path], options: Options) -> Samples:
    """Return the samples of several shards, from what is kept beside them or by a scan."""
    asked = [VERSION, [path.name for path in paths], options.image, options.label, options.field]
    memo = paths[0].parent / f".{files.digest_json(asked)[:16]}.offsets.npz"
    state = files.digest_json([files.stat_key(path) for path in paths])
    known = _read(memo, state)
    if known is None:
        known = _scan(paths, options)
        with contextlib.suppress(MissingError):
            _write(memo, state, known)
    return known


def _scan(paths: Sequence[Path], options: Options) -> Samples:
    where: dict[str, int] = {}
    places, values = [], []
    for number, path in enumerate(paths):
        for key, start, size, value in _shard(path, options):
            if key in where:
                other = paths[where[key]]
                raise DataError(f"the key {key!r} occurs twice, in {other} and in {path}; pack them under other names")
            where[key] = number
            places.append((number, start, size))
            values.append(value)
    return tuple(where), np.array(places, dtype=np.int64).reshape(-1, 3), values


def _shard(path: Path, options: Options) -> Iterator[tuple[str, int, int, str]]:
    """Yield key, first byte, bytes and label of every sample of a shard."""
    try:
        with tarfile.open(path, "r:") as archive, path.open("rb") as file:
            for key, members in _groups(archive, path):
                image = _image(members, options, f"the sample {key!r} of {path}")
                yield key, image.offset_data, image.size, _label(members, options, file, key, path)
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is not a whole tar file: {error}. {_mend(path)}") from error


def _mend(path: Path) -> str:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return f"It is packed; unpack it: gunzip {path}" if packed else "Download or pack it again."


Members = dict[str, tarfile.TarInfo]
"""Ending to member."""


def _groups(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, Members]]:
    """Yield every sample's key and members."""
    key, members = "", Members()
    for name, data in containers.tar_members(archive, path):
        clean = containers.clean_name(name, path)
        if data is None or containers.is_junk(clean) or META.match(clean):
            continue
        folder, _, file = clean.rpartition("/")
        stem, _, ending = file.partition(".")
        if not ending:
            raise DataError(
                f"{path} holds {clean!r}, which has no ending and so is of no sample; pack it again without"
            )
        own = f"{folder}/{stem}" if folder else stem
        if own != key and members:
            yield key, members
            members = {}
        key = own
        if ending.lower() in members:
            raise DataError(f"{path} holds {clean!r} twice; pack it again")
        members[ending.lower()] = data
    if members:
        yield key, members


def _image(members: Members, options: Options, where: str) -> tarfile.TarInfo:
    if options.image:
        if options.image.lower() not in members:
            raise DataError(f"{where} has no member .{options.image}; it has {', '.join(members)}. Correct data.image")
        return members[options.image.lower()]
    images = [ending for ending in members if containers.is_image(f"x.{ending}")]
    if len(images) != 1:
        what = f"has {len(images)} images, {', '.join(images)}; name one in data.image" if images else "has no image"
        raise DataError(f"{where} {what}" + ("" if images else f", only {', '.join(members)}; pack it again"))
    return members[images[0]]


def _label(members: Members, options: Options, file: Any, key: str, path: Path) -> str:
    if not options.label:
        return "0"
    where = f"the sample {key!r} of {path}"
    member = members.get(options.label.lower())
    if member is None:
        known = ", ".join(members)
        raise DataError(f"{where} has no label .{options.label}; it has {known}. Pack it again or correct data.label")
    file.seek(member.offset_data)
    try:
        text = file.read(member.size).decode()
        return _field(json.loads(text), options.field) if options.label.endswith("json") else text.strip()
    except (ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"{where}: its .{options.label} is no label: {error}. Correct data.field or pack it again"
        ) from error


def _field(value: Any, field: str) -> str:
    """Return the label at a field such as "a.b"; several as one text."""
    for name in filter(None, field.split(".")):
        if name not in value:
            raise LookupError(f"it has no field {name!r}")
        value = value[name]
    if isinstance(value, list):
        return LIST + LIST.join(map(_word, value))
    return _word(value)


def _word(value: Any) -> str:
    if not isinstance(value, str | int):
        raise TypeError(f"{value!r} is neither text nor a whole number")
    return str(value)


def _labels(values: list[str], options: Options) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return the labels of all splits' samples, and the classes in words where there are any."""
    classes = options.classes
    if any(value.startswith(LIST) for value in values):
        lists = [[one for one in value.removeprefix(LIST).split(LIST) if one] for value in values]
        if all(labels.is_whole(one) for own in lists for one in own):
            return labels.numbered([list(map(int, own)) for own in lists], classes, "the shards"), classes
        return labels.several(lists, classes)
    if all(map(labels.is_whole, values)):
        return np.array(values, dtype=np.int64).reshape(-1), classes
    return labels.ranked(values, classes)


def _write(path: Path, state: str, samples: Samples) -> None:
    ids, places, values = samples
    arrays: dict[str, Any] = {"state": np.array(state), "places": places}
    for name, texts in (("ids", ids), ("values", values)):
        arrays[name] = np.frombuffer("\0".join(texts).encode(), dtype=np.uint8)
    with files.atomic_write(path) as file:
        np.savez(file, **arrays)


def _read(path: Path, state: str) -> Samples | None:
    """Return what is kept at `path` of shards in this state, or None where nothing, or nothing readable, is."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["state"]) != state:
                return None
            ids, values = (arrays[name].tobytes().decode().split("\0") for name in ("ids", "values"))
            places = arrays["places"]
            return (tuple(ids), places, values) if len(ids) == len(values) == len(places) else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
