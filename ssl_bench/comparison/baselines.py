"""Named sets of records to compare with: packed records, their predictions, and why they were set.

```
baselines/<name>/<model>.jsonl     packed records
baselines/<name>/samples/…         per-sample predictions, as far as they were at hand
baselines/<name>/baseline.json     digest of the set, why it was set, and what it replaced
```
A baseline moves on purpose alone: replacing one by other numbers asks for a reason, which is kept.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from ssl_bench import cards
from ssl_bench.comparison.sources import BASELINES, Source, get
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import create_file, write_text
from ssl_bench.results import git
from ssl_bench.results import samples as sample_files
from ssl_bench.results.layout import place
from ssl_bench.results.record import Record
from ssl_bench.results.slugs import PLAIN, slug
from ssl_bench.results.store import digest_of

SCHEMA = "ssl-bench.baseline/1"
FILE = "baseline.json"


@dataclasses.dataclass(frozen=True)
class Setting:
    """One time that a baseline was set."""

    digest: str
    """Over the records; see `results.store.digest_of`."""
    records: int
    samples: int
    """How many of the records have their predictions beside them."""
    source: str
    reason: str
    created: str


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A named set of records, and the sets that bore the name before."""

    name: str
    now: Setting
    history: tuple[Setting, ...] = ()
    """Oldest first."""
    schema: str = SCHEMA


def load(name: str, folder: Path = BASELINES) -> Baseline:
    """Return what is known of a baseline; raise UsageError where there is none, or its file is not ours."""
    _check_name(name)
    path = folder / name / FILE
    if not path.is_file():
        get(f"baseline:{name}", folder)  # says what there is
        raise UsageError(f"{folder / name} has no {FILE}; `ssl-bench baseline set {name} {folder / name}` writes one")
    try:
        return cards.from_table(Baseline, json.loads(path.read_text(encoding="utf-8")), str(path))
    except ValueError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from None


def names(folder: Path = BASELINES) -> list[str]:
    """Return the names of the baselines in a folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{FILE}")) if folder.is_dir() else []


def put(name: str, source: Source, folder: Path = BASELINES, reason: str = "") -> Baseline:
    """Set a baseline to the records of a source, and their predictions; the same records change nothing.

    Raises UsageError where other records bear the name and no reason is given.
    """
    _check_name(name)
    target = folder / name
    before = load(name, folder) if (target / FILE).is_file() else None
    digest = digest_of(source.records)
    if before and before.now.digest == digest:
        return before
    if before and not reason:
        raise UsageError(
            f"the baseline {name!r} holds other records, set {before.now.created}: {before.now.reason or 'no reason'}. "
            'To replace it, say why: --reason "…"'
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=f".{name}.") as scratch:
        fresh = Path(scratch) / name
        copied = _write(source, fresh)
        created = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        now = Setting(digest, len(source.records), copied, source.label, reason, created)
        found = Baseline(name, now, (*before.history, before.now) if before else ())
        write_text(fresh / FILE, json.dumps(cards.plain(found), indent=2, ensure_ascii=False) + "\n")
        _replace(fresh, target)
    return found


def _write(source: Source, folder: Path) -> int:
    """Write packed records and the predictions that are at hand; return how many records have theirs."""
    by_model = defaultdict(list)
    for record in sorted(source.records, key=place):
        by_model[record.model.name].append(record)
    for model, records in by_model.items():
        write_text(folder / f"{slug(model)}.jsonl", "".join(f"{record.to_text()}\n" for record in records))
    return sum(_copy_samples(source, record, folder) for record in source.records)


def _copy_samples(source: Source, record: Record, folder: Path) -> bool:
    """Copy a record's predictions, byte by byte, from the first store that has them; False where none has."""
    for store in source.stores:
        with contextlib.suppress(MissingError):
            content = sample_files.read_bytes(store.files, record.samples)
            create_file(folder / sample_files.sample_name(record.samples.sha256), content)
            return True
    return False


def _replace(fresh: Path, target: Path) -> None:
    """Put a folder in another's place; the other is whole until it is gone."""
    old = fresh.with_name(f"{fresh.name}.old")
    if target.exists():
        target.replace(old)
    fresh.replace(target)


def copy(name: str, origin: Path, target: Path) -> Baseline:
    """Copy a baseline from one folder of baselines to another, with its history."""
    found = load(name, origin)
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target, prefix=f".{name}.") as scratch:
            fresh = Path(scratch) / name
            shutil.copytree(origin / name, fresh)
            _replace(fresh, target / name)
    except OSError as error:
        raise MissingError(f"cannot write {target / name}: {error.strerror or error}") from error
    return found


def pull(name: str, origin: str, folder: Path = BASELINES) -> Baseline:
    """Fetch a baseline from another folder of baselines, or from "git:REF" or "git:REF:PATH"."""
    if not origin.startswith("git:"):
        return copy(name, Path(origin).expanduser(), folder)
    _check_name(name)
    ref, _, path = origin.removeprefix("git:").partition(":")
    with tempfile.TemporaryDirectory(prefix="ssl-bench-") as scratch:
        git.unpack(f"git:{ref}:{path or BASELINES}/{name}", Path(scratch) / name)
        return copy(name, Path(scratch), folder)


def push(name: str, target: str, folder: Path = BASELINES) -> Baseline:
    """Send a baseline to another folder of baselines, or commit it to a local branch, "git:BRANCH", which is not
    checked out and whose other files stay."""
    if not target.startswith("git:"):
        return copy(name, folder, Path(target).expanduser())
    found = load(name, folder)
    branch, _, path = target.removeprefix("git:").partition(":")
    _commit(found, folder / name, f"{path or BASELINES}/{name}", f"refs/heads/{branch}")
    return found


def _commit(found: Baseline, folder: Path, inside: str, ref: str) -> None:
    what = f"the branch {ref.removeprefix('refs/heads/')}"
    parent = git.run("for-each-ref", "--format=%(objectname)", ref, what=what).decode().strip()
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "GIT_INDEX_FILE": str(Path(scratch) / "index")}

        def call(*words: str, given: bytes | None = None) -> str:
            return git.run(*words, what=what, given=given, environment=environment).decode().strip()

        if parent:
            call("read-tree", parent)
            call("rm", "-r", "-f", "-q", "--cached", "--ignore-unmatch", "--", f":(top){inside}")
        entries = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            blob = call("hash-object", "-w", "--stdin", given=path.read_bytes())
            entries.append(f"100644 {blob}\t{inside}/{path.relative_to(folder).as_posix()}")
        call("update-index", "--add", "--index-info", given="\n".join(entries).encode())
        tree = call("write-tree")
        said = f"Baseline {found.name}: {found.now.reason or 'set'}"
        commit = call("commit-tree", tree, *(["-p", parent] if parent else []), given=said.encode())
    git.run("update-ref", ref, commit, parent or "0" * 40, what=what)


def _check_name(name: str) -> None:
    if not PLAIN.fullmatch(name):
        raise UsageError(f"a baseline cannot be called {name!r}: lower-case letters, digits, '_', '.' and '-'")


def describe(found: Baseline) -> dict[str, Any]:
    """Return a baseline as a row of a table."""
    now = found.now
    return {
        "name": found.name,
        "records": now.records,
        "samples": now.samples,
        "set": now.created,
        "from": now.source,
        "reason": now.reason,
        "digest": now.digest[:12],
        "before": len(found.history),
    }
