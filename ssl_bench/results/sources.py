"""Records by the words that a user names them with: a folder, an object store, one file, or what git holds.

`results`, `model.jsonl`, `s3://bucket/prefix`, and `git:REF:PATH`, where PATH is a folder or one packed file.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.results.index import Say
from ssl_bench.results.roots import FixedRoot
from ssl_bench.results.store import Results


def open_source(words: str, cache: Path | None = None, say: Say = lambda _: None) -> Results:
    """Return the records that `words` name; raise UsageError or MissingError where there is nothing of that name."""
    if words.startswith("git:"):
        return Results(_git(words), None, say)
    if "://" in words:
        return Results(words, cache, say)
    path = Path(words)
    if path.is_file():
        try:
            return Results(FixedRoot(words, {path.name: path.read_bytes()}), None, say)
        except OSError as error:
            raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    if not path.is_dir():
        raise UsageError(f"{words}: there is no such folder or file; a folder, a .jsonl file, s3://… or git:REF:PATH")
    return Results(path, cache, say)


def _git(words: str) -> FixedRoot:
    """Return the files that a git reference holds at a path."""
    _, _, rest = words.partition(":")
    reference, colon, path = rest.partition(":")
    if not colon or not reference or reference.startswith("-"):
        raise UsageError(f"{words!r} is not git:REF:PATH, such as git:main:results")
    path = path.strip("/")
    listed = _run(words, "ls-tree", "-r", "-z", "--full-tree", reference, "--", *([path] if path else []))
    objects = {}
    for line in listed.split(b"\0"):
        if line:
            said, _, name = line.partition(b"\t")
            objects[name.decode("utf-8", "surrogateescape")] = said.split()[2].decode()
    inside = {_inside(name, path): sha for name, sha in objects.items()}
    kept = {name: sha for name, sha in inside.items() if _may_hold_records(name)}
    if not kept:
        raise UsageError(f"{words}: git holds no .jsonl or .json file there")
    return FixedRoot(words, dict(zip(kept, _contents(words, list(kept.values())), strict=True)))


def _inside(name: str, path: str) -> str:
    """Return a file's name below `path`; the file's own name where `path` is that file."""
    return name.rpartition("/")[2] if name == path else name[len(path) + 1 :] if path else name


def _may_hold_records(name: str) -> bool:
    packed = name.endswith(".jsonl") and "/" not in name
    return packed or (name.endswith(".json") and name.count("/") == 2)


def _contents(words: str, shas: list[str]) -> list[bytes]:
    """Return the objects with these names, asked for in one process."""
    said = _run(words, "cat-file", "--batch", given="".join(f"{sha}\n" for sha in shas).encode())
    contents, at = [], 0
    for _ in shas:
        end = said.index(b"\n", at)
        size = int(said[at:end].split()[2])
        contents.append(said[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return contents


def _run(words: str, *command: str, given: bytes = b"") -> bytes:
    try:
        done = subprocess.run(["git", *command], input=given, capture_output=True, check=False)
    except OSError as error:
        raise MissingError(f"{words}: git cannot be started: {error.strerror or error}") from error
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise UsageError(f"{words}: {reason[0] if reason else 'git failed'}")
    return done.stdout
