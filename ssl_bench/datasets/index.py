"""The dataset index: which samples a task has and the digest of every image, read once and kept on disk.

Features are shared between tasks by image digest, so a digest depends on the image alone, not on its label or id.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench import datasets, files, images, targets
from ssl_bench.cards import plain
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.progress import Advance, Progress
from ssl_bench.tasks import TaskCard

VERSION = 1
"""Rises when the kept form, or what a reader makes of the same files, changes."""
CHUNK = 512
"""Images per unit of work."""


class Samples(NamedTuple):
    """What a role is made of."""

    ids: tuple[str, ...]
    labels: NDArray[np.int64]  # (samples,), (samples, classes), or (samples, 0) where there are targets
    images: NDArray[np.uint8]  # (samples, 32): sha256 of each
    targets: NDArray[np.uint8] | None = None  # (samples, 32): sha256 of each, for dense tasks


@dataclasses.dataclass(frozen=True, eq=False)
class Index:
    """What a task is made of."""

    roles: Mapping[str, Samples]
    task_digest: str
    """What the task asks, wherever its files lie and whatever it is called."""

    @property
    def samples(self) -> dict[str, int]:
        """Number of samples per role."""
        return {role: len(one.ids) for role, one in self.roles.items()}

    @property
    def labels(self) -> dict[str, NDArray[np.int64]]:
        """Labels per role."""
        return {role: one.labels for role, one in self.roles.items()}

    @property
    def digests(self) -> dict[str, NDArray[np.uint8]]:
        """Image digests per role: uint8 (samples, 32)."""
        return {role: one.images for role, one in self.roles.items()}


def content(split: Split, advance: Advance | None = None) -> NDArray[np.uint8]:
    """Return every image's sha256: uint8 (samples, 32), in the split's order; threads read neighbours in the source."""
    order = np.argsort(split.rows, kind="stable")
    digests = np.zeros((len(split), 32), dtype=np.uint8)
    if len(split):
        split.read(int(order[0]))  # whatever is opened or unpacked at first use, one thread does

    def work(start: int) -> int:
        stop = min(start + CHUNK, len(split))
        for i in order[start:stop].tolist():
            digests[i] = np.frombuffer(digest_image(split.read(i)), dtype=np.uint8)
        return stop - start

    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for count in pool.map(work, range(0, len(split), CHUNK)):
            if advance is not None:
                advance(count)
    return digests


def _truths(card: TaskCard, split: Split) -> NDArray[np.uint8] | None:
    """Return every target's sha256: uint8 (samples, 32); None where there are none.

    Raises DataError, naming the sample, for a target that is damaged, of another size than its image, or outside the
    card's classes: here each is looked at before anything is computed.
    """
    if split.targets is None:
        return None

    def digest(position: int) -> bytes:
        target = split.targets[position]  # type: ignore[index]
        targets.check(target, images.size(split.read(position), split.ids[position]), card.classes, split.ids[position])
        return bytes(target.digest)

    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        found = b"".join(pool.map(digest, range(len(split))))
    return np.frombuffer(found, dtype=np.uint8).reshape(len(split), 32)


def task_digest(card: TaskCard, roles: Mapping[str, Samples]) -> str:
    """Return the sha256 (hex) of what a task asks: classes, metric, version and, per role, ids, labels and images; of
    shifts also the classes that may be answered and what errors are divided by.

    The task's name, the place of its files and the way in which they are packed do not enter.
    """
    digest = hashlib.sha256()
    head: dict[str, Any] = {"classes": card.classes, "kind": card.kind, "metric": card.metric, "version": card.version}
    if card.shifts:
        head["shifts"] = {name: [list(shift.classes), shift.normaliser] for name, shift in card.shifts.items()}
    digest.update(files.digest_json(head).encode())
    for role in sorted(roles):
        one = roles[role]
        digest.update(files.digest_json([role, list(one.ids)]).encode())
        digest.update(np.ascontiguousarray(one.labels, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(one.images).tobytes())
        if one.targets is not None:
            digest.update(np.ascontiguousarray(one.targets).tobytes())
    return digest.hexdigest()


def lookup(card: TaskCard, root: Path, cache: Path) -> Index | None:
    """Return the index that is kept for the files as they are now, without reading images; None: not kept.

    Raises MissingError where the data is not there.
    """
    roles = _read(_memo(card, root, cache))
    return None if roles is None else _index(card, roles)


def build(
    card: TaskCard,
    root: Path,
    cache: Path,
    splits: Mapping[str, Split] | None = None,
    advance: Advance | None = None,
) -> Index:
    """Return the index, from the cache or by reading every image once; `splits` are the task's, if loaded already.

    Raises what `datasets.load` raises.
    """
    memo = _memo(card, root, cache)
    roles = _read(memo)
    if roles is None:
        roles = _made(card, memo, datasets.load(card, root) if splits is None else splits, advance)
    return _index(card, roles)


def tracked(
    card: TaskCard, root: Path, cache: Path, progress: Progress, splits: Mapping[str, Split] | None = None
) -> Index:
    """Return what `build` does, and show how far the reading has come where images must be read.

    Of several processes that come to it at once, one reads.
    """
    memo = _memo(card, root, cache)
    roles = _read(memo)
    if roles is None:

        def waits() -> None:
            progress.say(f"{card.name}: another process reads all images")

        with files.lock(memo.with_name(f".{memo.name}.lock"), waits):
            roles = _read(memo)
            if roles is None:
                loaded = datasets.load(card, root) if splits is None else splits
                total = sum(len(split) for split in loaded.values())
                with progress.track(f"{card.name}: reading all images once", total) as advance:
                    roles = _made(card, memo, loaded, advance)
    return _index(card, roles)


def _made(card: TaskCard, memo: Path, splits: Mapping[str, Split], advance: Advance | None) -> dict[str, Samples]:
    """Read every image, and keep at `memo` what was found."""
    roles = {
        role: Samples(split.ids, split.labels, content(split, advance), _truths(card, split))
        for role, split in splits.items()
    }
    _write(memo, roles)
    return roles


def keep(
    card: TaskCard, root: Path, cache: Path, splits: Mapping[str, Split], digests: Mapping[str, NDArray[np.uint8]]
) -> Index:
    """Return the index of images that were just read, uint8 (samples, 32) per role, in place of what was kept."""
    roles = {
        role: Samples(split.ids, split.labels, digests[role], _truths(card, split)) for role, split in splits.items()
    }
    _write(_memo(card, root, cache), roles)
    return _index(card, roles)


def _index(card: TaskCard, roles: dict[str, Samples]) -> Index:
    return Index(roles, task_digest(card, roles))


def _memo(card: TaskCard, root: Path, cache: Path) -> Path:
    """Return where the index of these files, read with these options, is kept."""
    located = [(_relative(path, root), *files.stat_key(path)[1:]) for path in datasets.locate(card, root)]
    asked = [VERSION, card.reader, plain(card.data), plain(card.splits), card.classes, located]
    if card.shifts:
        asked.append(plain(card.shifts))
    return cache / "datasets" / f"{files.digest_json(asked)}.npz"


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _write(path: Path, roles: Mapping[str, Samples]) -> None:
    arrays: dict[str, Any] = {"roles": np.array(list(roles))}
    for role, one in roles.items():
        arrays[f"{role}_ids"] = np.frombuffer("\0".join(one.ids).encode(), dtype=np.uint8)
        arrays[f"{role}_labels"] = one.labels
        arrays[f"{role}_digests"] = one.images
        if one.targets is not None:
            arrays[f"{role}_targets"] = one.targets
    with files.atomic_write(path) as file:
        np.savez(file, **arrays)


def _read(path: Path) -> dict[str, Samples] | None:
    """Return what is kept at `path`, or None where nothing, or nothing readable, is."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            roles: dict[str, Samples] = {}
            for role in arrays["roles"].tolist():
                ids = tuple(arrays[f"{role}_ids"].tobytes().decode().split("\0"))
                labels, digests = arrays[f"{role}_labels"], arrays[f"{role}_digests"]
                if not len(ids) == len(labels) == len(digests) or digests.shape[1:] != (32,):
                    return None
                roles[role] = Samples(ids, labels, digests, arrays.get(f"{role}_targets"))
            return roles or None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
