"""A bundle: one plain tar that holds all that is claimed of a model, and that names itself by its content.

```
manifest.json                        what is here, byte by byte, and for which round
records.jsonl                        the records: canonical, sorted, one to a line
samples/<sha256>.parquet             every record's predictions
sketch/<spec>-<task>-<split>.npy     16 numbers of every test image's feature; see `sketch`
card.toml                            the entry: what the submitter declares
env/lock.txt                         installed packages
attest.json                          what was made of what, and how (in-toto statement, SLSA provenance)
attest.json.sig                      an SSH signature of that, if there is one
```
The same content gives the same bytes, but for `created`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench.errors import MissingError, UsageError, reason
from ssl_bench.files import atomic_write
from ssl_bench.leaderboard import entries
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.results.layout import place
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.submission import archive, sketch, tables
from ssl_bench.submission.archive import Member
from ssl_bench.submission.limits import USUAL, Limits, check_depth, check_keys, parse_json, readable
from ssl_bench.submission.manifest import Asked, Harness, Held, Manifest
from ssl_bench.submission.sketch import Sketch

MANIFEST, RECORDS, CARD = "manifest.json", "records.jsonl", "card.toml"
LOCK, ATTEST, SIGNATURE = "env/lock.txt", "attest.json", "attest.json.sig"
NEEDED = (MANIFEST, RECORDS, CARD, LOCK, ATTEST)


@dataclasses.dataclass(frozen=True, eq=False)
class Bundle:
    """What was handed in. Every error of reading it names bundle and member."""

    where: str
    """Of the file, for people."""
    manifest: Manifest
    contents: Mapping[str, bytes]
    """Name to content of every member but the manifest; each is compared with its digest whenever it is read."""
    limits: Limits = USUAL

    @property
    def digest(self) -> str:
        """sha256 (hex) of the manifest, and so of everything."""
        return hashlib.sha256(self.manifest.to_bytes()).hexdigest()

    @functools.cached_property
    def records(self) -> tuple[Record, ...]:
        """The records, sorted."""
        return tuple(_records(self.contents[RECORDS], self._place(RECORDS), self.limits))

    @functools.cached_property
    def entry(self) -> Entry:
        """The card."""
        return _entry(self.contents[CARD], self._place(CARD), self.limits)

    @functools.cached_property
    def attestation(self) -> dict[str, Any]:
        """The statement of `attest.json`."""
        return parse_json(self.contents[ATTEST], self._place(ATTEST), self.limits)

    @property
    def signature(self) -> bytes | None:
        """The SSH signature of `attest.json`, if there is one."""
        return self.contents.get(SIGNATURE)

    def table(self, record: Record) -> Table:
        """Return a record's predictions; raise UsageError where they are not here or cannot be read."""
        name = sample_member(record)
        if name not in self.contents:
            raise UsageError(f"{self._place(name)}: the predictions of {label(record)} are not there")
        return tables.read(self.contents[name], self._place(name), self.limits)

    def sketch(self, record: Record, split: str = "test") -> Sketch | None:
        """Return what is fixed of the features behind a record, in the split's order; None where nothing is."""
        name = sketch.name(record, split)
        return sketch.decode(self.contents[name], self._place(name)) if name in self.contents else None

    def _place(self, name: str) -> str:
        return f"{self.where}: {name}"


def sample_member(record: Record) -> str:
    """Return the name of the member with a record's predictions."""
    return f"samples/{record.samples.sha256}.parquet"


def label(record: Record) -> str:
    """Return a record's job for people, such as "mnist × knn seed 0"."""
    return f"{record.task.name} × {record.protocol.name} seed {record.seed}"


def members(
    records: Sequence[Record],
    predictions: Mapping[str, bytes],
    sketches: Mapping[str, Sketch],
    card: bytes,
    lock: str,
) -> dict[str, bytes]:
    """Return the members that say what is claimed: records, `predictions` by their sha256, `sketches` by their names,
    card and list of packages."""
    ordered = sorted(records, key=place)
    return {
        RECORDS: "".join(f"{record.to_text()}\n" for record in ordered).encode(),
        CARD: card,
        LOCK: lock.encode(),
        **{f"samples/{sha256}.parquet": content for sha256, content in predictions.items()},
        **{name: sketch.encode(one) for name, one in sketches.items()},
    }


def make(
    claimed: Mapping[str, bytes],
    attest: bytes,
    signature: bytes | None = None,
    *,
    suite: Asked,
    harness: Harness,
    created: str,
    where: str = "the bundle",
) -> Bundle:
    """Return the bundle of `members` and an attestation of them."""
    contents = {**claimed, ATTEST: attest, **({SIGNATURE: signature} if signature else {})}
    contents = dict(sorted(contents.items()))
    return Bundle(where, Manifest(suite, harness, held(contents), created), contents)


def held(contents: Mapping[str, bytes]) -> dict[str, Held]:
    """Return what a manifest says of members."""
    return {name: Held(hashlib.sha256(content).hexdigest(), len(content)) for name, content in contents.items()}


def write(bundle: Bundle, path: Path) -> None:
    """Write a bundle, whole or not at all; raise MissingError where the file cannot be written."""
    members = {**bundle.contents, MANIFEST: bundle.manifest.to_bytes()}
    with atomic_write(path) as file:
        archive.write(file, sorted(members.items()))


def read(path: Path, limits: Limits = USUAL) -> Bundle:
    """Return the bundle in a file, with every member's size, digest and form checked; predictions are decoded later.

    Raises MissingError where there is no file, UsageError naming bundle, member and what is wrong of any damage.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for a writer
        raise MissingError(f"cannot read {path}: it is no file")
    try:
        with path.open("rb") as file:
            members = archive.scan(file, os.fstat(file.fileno()).st_size, limits)
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    for name in NEEDED:
        if name not in members:
            raise UsageError(f"{path}: {name}: is missing")
    manifest = _manifest(path, members.pop(MANIFEST), limits)
    for name in sorted({*members} ^ {*manifest.members}):
        what = "is not in the manifest" if name in members else "is in the manifest, but not in the bundle"
        raise UsageError(f"{path}: {readable(name)}: {what}")
    bundle = Bundle(str(path), manifest, _OnDisk(path, members, manifest), limits)
    _check_forms(bundle)
    return bundle


class _OnDisk(Mapping[str, bytes]):
    """The members of a bundle's file, each read and compared with its digest when it is asked for."""

    def __init__(self, path: Path, members: Mapping[str, Member], manifest: Manifest) -> None:
        self._path, self._members, self._manifest = path, members, manifest

    def __getitem__(self, name: str) -> bytes:
        content = _content(self._path, self._members[name])
        said = self._manifest.members[name]
        if (len(content), hashlib.sha256(content).hexdigest()) != (said.bytes, said.sha256):
            raise UsageError(f"{self._path}: {name}: its content is not the one that the manifest names")
        return content

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


def _content(path: Path, member: Member) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(member.offset)
            return file.read(member.size)
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error


def _manifest(path: Path, member: Member, limits: Limits) -> Manifest:
    where, content = f"{path}: {MANIFEST}", _content(path, member)
    try:
        found = Manifest.from_table(parse_json(content, where, limits))
    except UsageError as error:
        raise UsageError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from None
    if found.to_bytes() != content:
        raise UsageError(f"{where}: is not written canonically, so that its digest is not that of what it says")
    return found


def _check_forms(bundle: Bundle) -> None:
    """Raise UsageError for the first member that is not what its name says."""
    wanted = {name for record in bundle.records for name in (sample_member(record),)}
    _ = bundle.entry, bundle.attestation
    for name, content in bundle.contents.items():
        where = f"{bundle.where}: {name}"
        if name == LOCK:
            _text(content, where, bundle.limits)
        elif name.startswith("samples/"):
            if f"samples/{hashlib.sha256(content).hexdigest()}.parquet" != name:
                raise UsageError(f"{where}: is named by another digest than its content's")
            if name not in wanted:
                raise UsageError(f"{where}: no record names these predictions")
            tables.check_form(content, where, bundle.limits)
        elif name.startswith("sketch/"):
            sketch.decode(content, where)


def _records(content: bytes, where: str, limits: Limits) -> Iterator[Record]:
    """Give the records of `records.jsonl`; raise UsageError naming the line that is not a canonical record in order."""
    if len(content) > limits.json:
        raise UsageError(f"{where}: has {len(content):,} bytes, more than {limits.json:,}")
    if not content.endswith(b"\n"):
        raise UsageError(f"{where}: holds no record, or is cut off")
    last = None
    for number, line in enumerate(content[:-1].split(b"\n"), start=1):
        here = f"{where}:{number}"
        if len(line) > limits.line:
            raise UsageError(f"{here}: has {len(line):,} bytes, more than {limits.line:,}")
        record = Record.from_json(parse_json(line, here, limits), here)
        if record.to_text().encode() != line:
            raise UsageError(f"{here}: is not written canonically")
        if last is not None and place(record) <= last:
            raise UsageError(f"{here}: is there twice, or not in the order of records")
        last = place(record)
        yield record


def _entry(content: bytes, where: str, limits: Limits) -> Entry:
    text = _text(content, where, limits)
    check_depth(content, where, limits)
    check_keys(text, where, limits)
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: is not valid TOML: {reason(error)}") from None
    return entries.from_table(table, where)


def _text(content: bytes, where: str, limits: Limits) -> str:
    if len(content) > limits.text:
        raise UsageError(f"{where}: has {len(content):,} bytes, more than {limits.text:,}")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
