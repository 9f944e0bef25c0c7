"""Images in `<split>/<class>/` folders, or the same inside a .tar, .tar.gz or .zip file.

Classes are the union of the class folders of all splits, sorted by name or by number. Files beside the class folders
that are no images, such as a README, are not part of the data; within a class folder every file must be an image. With
`labelled = false` there are no classes, and a split is every image in its folder, however deep.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ssl_bench import cards
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """The folder or archive, relative to the data folder."""
    inside: str = ""
    """Folder within it that holds the splits, such as "eurosat/2750"."""
    split: str = ""
    """For a source without split folders, `<class>/<image>`: the name of its only split."""
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """For the same: the splits to draw, name to share of every class; the shares add up to 1."""
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """For the same: the splits to draw, name to images of every class; -1, only for the last, for all that are left."""
    order: Literal["name", "number"] = "name"
    """How class folders are sorted; "number" for folders called 0, 1, … after their labels."""
    depth: int = 1
    """How many folders deep a class lies: 2 for <alphabet>/<character>/."""
    ignore: tuple[str, ...] = ()
    """Files in class folders that are no images, and no fault: their paths below `inside`."""
    labelled: bool = True
    """False: folders below a split's are no classes."""


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archive, or every file of the folder; raise MissingError where it is not there."""
    return containers.files_of(root / cards.from_table(Options, options, "data").path)


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits by folder name, samples sorted by path; an id is the path below `inside`.

    Raises DataError for a split without classes, a class folder without images and a file in it that is no image.
    """
    chosen = _options(options)
    listing = containers.listing(root / chosen.path)
    where = f"{listing.path}/{chosen.inside}".rstrip("/")
    names = _image_names(listing, chosen, where)
    _check_folders(listing, chosen, names, where)
    if chosen.parts or chosen.counts:
        names = _drawn(names[chosen.split], chosen, where)
    classes = _sorted({class_name for samples in names.values() for class_name, _ in samples}, chosen, where)
    labels = {class_name: label for label, class_name in enumerate(classes)}
    splits = {}
    for split, samples in sorted(names.items()):
        paths = sorted(path for _, path in samples)
        class_of = {path: class_name for class_name, path in samples}
        splits[split] = Split(
            listing.source([_prefix(chosen) + path for path in paths]),
            np.arange(len(paths)),
            tuple(paths),
            np.array([labels[class_of[path]] for path in paths], dtype=np.int64),
            classes if chosen.labelled else (),
        )
    return splits


def _options(options: Mapping[str, Any]) -> Options:
    """Return the options; a source whose splits are drawn has one split until then."""
    chosen = cards.from_table(Options, options, "data")
    counts = [*chosen.counts.values()]
    if counts and (chosen.parts or min([*counts[:-1], abs(counts[-1])]) < 1 or counts[-1] < -1):
        raise UsageError(
            f"data.counts: {dict(chosen.counts)} must be above 0, or -1 for the last, and without data.parts"
        )
    if counts:
        return dataclasses.replace(chosen, split=chosen.split or "all")
    if not chosen.parts:
        return chosen
    if abs(sum(chosen.parts.values()) - 1) > 1e-9 or min(chosen.parts.values()) <= 0:
        raise UsageError(f"data.parts: the shares {dict(chosen.parts)} must be above 0 and add up to 1")
    return dataclasses.replace(chosen, split=chosen.split or "all")


def _drawn(samples: list[tuple[str, str]], options: Options, where: str) -> dict[str, list[tuple[str, str]]]:
    """Return the samples (class, path) in splits: every class in the order of its paths' md5, cut by shares or counts.

    Raises DataError for a class that has fewer images than the counts ask for.
    """
    by_class: dict[str, list[tuple[str, str]]] = {}
    for sample in samples:
        by_class.setdefault(sample[0], []).append(sample)
    drawn: dict[str, list[tuple[str, str]]] = {name: [] for name in options.parts or options.counts}
    for class_name, members in by_class.items():
        members.sort(key=lambda sample: hashlib.md5(sample[1].encode(), usedforsecurity=False).digest())
        cuts = _cuts(options, len(members))
        if cuts[-1] > len(members):
            raise DataError(
                f"{where}: the class {class_name} has {len(members)} images, fewer than data.counts asks for"
            )
        for name, start, stop in zip(drawn, [0, *cuts], cuts, strict=False):
            drawn[name] += members[start:stop]
    return drawn


def _cuts(options: Options, members: int) -> list[int]:
    """Return where each split of a class of so many members ends."""
    if options.parts:
        return [round(share * members) for share in itertools.accumulate(options.parts.values())]
    *first, last = options.counts.values()
    ends = list(itertools.accumulate(first))
    start = ends[-1] if ends else 0
    return [*ends, start + last if last > 0 else max(members, start + 1)]


def _sorted(classes: set[str], options: Options, where: str) -> tuple[str, ...]:
    """Return the class names in the card's order; raise DataError for one that is no number where numbers are meant."""
    if options.order == "name":
        return tuple(sorted(classes))
    words = sorted(name for name in classes if not name.isdecimal())
    if words:
        raise DataError(f"{where}: the class folder {words[0]!r} is not a number, by which data.order sorts")
    return tuple(sorted(classes, key=int))


def _prefix(options: Options) -> str:
    return options.inside.strip("/") + "/" if options.inside.strip("/") else ""


def _parts(path: str, options: Options) -> list[str]:
    """Return [split, class, rest]; shorter for what lies higher, and with the class "" where there are none."""
    if not options.labelled:
        split, _, rest = (options.split, "", path) if options.split else path.partition("/")
        return [split, "", rest] if rest and containers.is_image(rest) else [split]
    split, rest = (options.split, path) if options.split else (path.partition("/")[0], path.partition("/")[2])
    folders = rest.split("/", options.depth)
    if len(folders) <= options.depth:
        return [split, rest] if rest and len(folders) == options.depth else [split]
    return [split, "/".join(folders[:-1]), folders[-1]]


def _image_names(listing: Listing, options: Options, where: str) -> dict[str, list[tuple[str, str]]]:
    """Return split → [(class, path below `inside`)]."""
    names: dict[str, list[tuple[str, str]]] = {}
    prefix = _prefix(options)
    layout = ("" if options.split else "<split>/") + ("<class>/" if options.labelled else "")
    for name in listing.spans:
        if not name.startswith(prefix):
            continue
        path = name.removeprefix(prefix)
        if path in options.ignore:
            continue
        parts = _parts(path, options)
        if len(parts) == 3 and not containers.is_image(path):
            raise DataError(f"{where}: {path} lies in a class folder but is no image by its name; move it elsewhere")
        if len(parts) == 3:
            names.setdefault(parts[0], []).append((parts[1], path))
        elif containers.is_image(path):
            raise DataError(f"{where}: the image {path} does not lie in a {layout} folder")
    if not names:
        raise DataError(f"{where} holds no images in {layout} folders")
    return names


def _check_folders(listing: Listing, options: Options, names: Mapping[str, list[tuple[str, str]]], where: str) -> None:
    """Raise DataError for a split or class folder that is there but holds no image."""
    filled = {(split, class_name) for split, samples in names.items() for class_name, _ in samples}
    prefix = _prefix(options)
    for folder in listing.folders:
        if not folder.startswith(prefix) or folder == prefix.rstrip("/"):
            continue
        parts = _parts(folder.removeprefix(prefix), options)
        if len(parts) == 1 and parts[0] not in names:
            raise DataError(f"{where}: the split folder {parts[0]} holds no images; fill or remove it")
        if len(parts) == 2 and (parts[0], parts[1]) not in filled:
            folder = folder.removeprefix(prefix)
            raise DataError(f"{where}: the class folder {folder} holds no images; fill or remove it")
