"""Where a side of a comparison comes from.

    a folder of records, loose or packed      results, /mnt/runs/4711, or an address that the store opens
    a packed file                             results/dinov2_vitb14.jsonl
    either of them at a commit of git         git:origin/main:results, git:v1.2:results/dinov2_vitb14.jsonl
    a named baseline                          baseline:main

Per-sample predictions are found by their digest, so they may lie beside the records or under any other root that is
named: git seldom holds them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.results.store import Results

BASELINES = Path("baselines")
"""Folder of named record sets, one folder each."""


SHALLOW = " A shallow clone holds one commit: `git fetch origin REF`, or fetch-depth: 0 in the workflow"


@dataclasses.dataclass(frozen=True)
class Source:
    """The records of one side."""

    label: str
    records: tuple[Record, ...]
    stores: tuple[Results, ...] = ()
    """Where their per-sample predictions may lie."""
    folders: tuple[Path, ...] = ()
    """The same, as far as they are folders of this machine."""
    skipped: tuple[str, ...] = ()
    """Files and lines that could not be read, with the reason."""
    keeps: Any = None
    """Holds a temporary folder for as long as this is in use."""

    def samples(self, record: Record, further: Sequence[Results] = ()) -> Table | None:
        """Return a record's predictions from the first store that has them; None where none has.

        Raises UsageError where a file is there and is not what its name tells.
        """
        for store in (*self.stores, *further):
            with contextlib.suppress(MissingError):
                return store.read_samples(record)
        return None


def get(what: str | Path | Results | Iterable[Record], baselines: Path = BASELINES) -> Source:
    """Return the records that `what` names; raise UsageError or MissingError where there are none."""
    if isinstance(what, Results):
        return Source("records", tuple(what.records()), (what,))
    if not isinstance(what, str | Path):
        return Source("records", tuple(what))
    text = str(what)
    if text.startswith("git:"):
        return _of_git(text)
    if text.startswith("baseline:"):
        return _of_baseline(text, baselines)
    return _of_store(text, text) if "://" in text else _of_path(Path(text).expanduser(), text)


def _of_path(path: Path, label: str) -> Source:
    if path.is_dir():
        return _of_store(path, label)
    if not path.is_file():
        raise UsageError(
            f"{label!r} is no folder and no packed file of records. Known: a folder, FILE.jsonl, git:REF:PATH, "
            "baseline:NAME"
        )
    records, skipped = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        if line.strip():
            try:
                records.append(Record.from_text(line, f"{path.name}:{number}"))
            except SslBenchError as error:
                skipped.append(str(error))
    return _checked(Source(label, tuple(records), (Results(path.parent),), (path.parent,), tuple(skipped)))


def _of_store(what: str | Path, label: str) -> Source:
    store = Results(what)
    records = tuple(store.records())
    folders = (what,) if isinstance(what, Path) else ()
    return _checked(Source(label, records, (store,), folders, tuple(map(str, store.skipped))))


def _checked(source: Source) -> Source:
    if not source.records:
        why = f"; {source.skipped[0]}" if source.skipped else ""
        raise UsageError(f"no record is in {source.label}{why}")
    return source


def _of_baseline(text: str, baselines: Path) -> Source:
    name = text.partition(":")[2]
    for path in (baselines / name, baselines / f"{name}.jsonl"):
        if name and path.exists():
            return dataclasses.replace(_of_path(path, text), label=text)
    known = sorted(path.stem for path in baselines.iterdir()) if baselines.is_dir() else []
    there = f"there is {', '.join(known)}" if known else f"there is none under {baselines}"
    raise UsageError(f"no baseline is called {name!r}; {there}. `ssl-bench baseline set` or `pull` makes one")


def _of_git(text: str) -> Source:
    """Return the records under a path at a commit, unpacked to a temporary folder that goes with the source."""
    _, _, rest = text.partition(":")
    ref, _, path = rest.partition(":")
    if not ref or not path or ref.startswith("-"):
        raise UsageError(f"{text!r} is not git:REF:PATH, such as git:origin/main:results")
    folder = tempfile.TemporaryDirectory(prefix="ssl-bench-")
    inside = Path(path)
    what, place = f"{ref}:{'' if path == '.' else inside.as_posix()}", Path(folder.name) / (inside.name or "top")
    if git("cat-file", "-t", what, what=text, hint=SHALLOW).strip() == b"tree":
        content = git("-C", _top(text), "archive", "--format=tar", what, what=text)
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(place, filter="data")
    else:
        place.write_bytes(git("cat-file", "blob", what, what=text))
    return dataclasses.replace(_of_path(place, text), keeps=folder)


def _top(what: str) -> str:
    """Return the folder that git's paths start from; the current one in a bare repository."""
    return git("rev-parse", "--show-cdup", what=what).decode().strip() or "."


def git(
    *words: str, what: str, given: bytes | None = None, environment: dict[str, str] | None = None, hint: str = ""
) -> bytes:
    """Return what a git command prints; raise MissingError naming `what` where git is missing or refuses."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, input=given, env=environment, check=False)
    except OSError as error:
        raise MissingError(f"{what} needs git: {error.strerror or error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise MissingError(f"{what}: git says: {said[0]}.{hint}")
    return done.stdout
