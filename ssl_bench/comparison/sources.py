"""Where a side of a comparison comes from.

    a folder of records, loose or packed      results, /mnt/runs/4711
    a packed file                             results/dinov2_vitb14.jsonl
    either of them at a commit of git         git:origin/main:results, git:v1.2:results/dinov2_vitb14.jsonl
    a named baseline                          baseline:main

Per-sample predictions are found by their digest, so they may lie beside the records or under any other root that is
named: git seldom holds them.
"""

from __future__ import annotations

import dataclasses
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ssl_bench.errors import MissingError, SslBenchError, UsageError
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.results.store import Results

BASELINES = Path("baselines")
"""Folder of named record sets, one folder each."""


@dataclasses.dataclass(frozen=True)
class Source:
    """The records of one side, and where their per-sample predictions may lie."""

    label: str
    records: tuple[Record, ...]
    roots: tuple[Path, ...] = ()
    skipped: tuple[str, ...] = ()
    """Files and lines that could not be read, with the reason."""
    keeps: Any = None
    """Holds a temporary folder for as long as this is in use."""

    def samples(self, record: Record, further: Sequence[Path] = ()) -> Table | None:
        """Return a record's predictions from the first root that has them; None where none has.

        Raises UsageError where a file is there and is not what its name tells.
        """
        for root in (*self.roots, *further):
            if sample_files.sample_path(root, record.samples.sha256).is_file():
                return sample_files.read(root, record.samples)
        return None


def get(what: str | Path | Results | Iterable[Record], baselines: Path = BASELINES) -> Source:
    """Return the records that `what` names; raise UsageError or MissingError where there are none."""
    if isinstance(what, Results):
        return _of_folder(what.root, str(what.root))
    if not isinstance(what, str | Path):
        return Source("records", tuple(what))
    text = str(what)
    if text.startswith("git:"):
        return _of_git(text)
    if text.startswith("baseline:"):
        return _of_baseline(text, baselines)
    return _of_path(Path(text).expanduser(), text)


def _of_path(path: Path, label: str) -> Source:
    if path.is_dir():
        return _of_folder(path, label)
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
    return _checked(Source(label, tuple(records), (path.parent,), tuple(skipped)))


def _of_folder(path: Path, label: str) -> Source:
    results = Results(path)
    records = tuple(results.records())
    return _checked(Source(label, records, (path,), tuple(map(str, results.skipped))))


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
    content = git("archive", "--format=tar", f"{ref}^{{commit}}", "--", path, what=text)
    folder = tempfile.TemporaryDirectory(prefix="ssl-bench-")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder.name, filter="data")
    return dataclasses.replace(_of_path(Path(folder.name) / path, text), label=text, keeps=folder)


def git(*words: str, what: str, given: bytes | None = None, environment: dict[str, str] | None = None) -> bytes:
    """Return what a git command prints; raise MissingError naming `what` where git is missing or refuses."""
    try:
        done = subprocess.run(["git", *words], capture_output=True, input=given, env=environment, check=False)
    except OSError as error:
        raise MissingError(f"{what} needs git: {error.strerror or error}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["git says nothing"]
        raise MissingError(
            f"{what} cannot be read: {said[0]}. A shallow clone holds one commit: `git fetch origin REF`, or "
            "fetch-depth: 0 in the workflow"
        )
    return done.stdout
