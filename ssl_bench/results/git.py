"""What git holds at a commit, read without a checkout: `git:REF:PATH`, where PATH is a folder or one packed file.

Records are read at once; per-sample predictions, which are many times larger, when they are asked for.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.results.roots import PACKED, SAMPLES, File, FixedRoot

SHALLOW = " A shallow clone holds one commit: `git fetch origin REF`, or fetch-depth: 0 in the workflow"


def root(words: str) -> FixedRoot:
    """Return the records at "git:REF:PATH" as a root that can only be read.

    Raises UsageError where the words are others or no record can lie there, MissingError where git has no such commit.
    """
    reference, path = parse(words)
    listed = _listed(words, reference, path)
    inside = {_inside(name, path): sha for name, (sha, _) in listed.items()}
    kept = {name: sha for name, sha in inside.items() if _may_hold_records(name)}
    if not kept:
        raise UsageError(f"{words}: git holds no .jsonl or .json file there")
    folder = path.rpartition("/")[0] if path in listed else path
    contents = dict(zip(kept, _contents(words, list(kept.values())), strict=True))
    return FixedRoot(words, contents, _Predictions(words, reference, folder))


def parse(words: str) -> tuple[str, str]:
    """Return (REF, PATH from the top of the tree, "" for all of it); raise UsageError for other words."""
    reference, colon, path = words.removeprefix("git:").partition(":")
    if not colon or not reference or reference.startswith("-"):
        raise UsageError(f"{words!r} is not git:REF:PATH, such as git:origin/main:results")
    path = path.strip("/")
    return reference, "" if path == "." else path


def unpack(words: str, folder: Path) -> None:
    """Write all files of the folder at "git:REF:PATH" into `folder`.

    Raises MissingError where git has none, and DataError for a name that leads out of it.
    """
    reference, path = parse(words)
    listed = {_inside(name, path): sha for name, (sha, _) in _listed(words, reference, path).items()}
    if not listed:
        raise MissingError(f"{words}: git holds no file there")
    if any(".." in name.split("/") for name in listed):
        raise DataError(f"{words} holds a name that leads out of the folder")
    for name, content in zip(listed, _contents(words, list(listed.values())), strict=True):
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)


def run(
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


class _Predictions:
    """The per-sample predictions under a folder of a commit."""

    def __init__(self, words: str, reference: str, folder: str) -> None:
        self._words, self._reference = words, reference
        self._folder = f"{folder}/" if folder else ""

    def sample_files(self) -> dict[str, File]:
        listed = _listed(self._words, self._reference, f"{self._folder}{SAMPLES}", "-l")
        return {name[len(self._folder) :]: File(size, sha, 0.0) for name, (sha, size) in listed.items()}

    def stamp(self, name: str) -> str:
        listed = _listed(self._words, self._reference, f"{self._folder}{name}")
        return next((sha for sha, _ in listed.values()), "")

    def read(self, name: str) -> bytes:
        sha = self.stamp(name)
        if not sha:
            raise FileNotFoundError(2, "No such file", f"{self._words}/{name}")
        return run("cat-file", "blob", sha, what=self._words)


def _listed(words: str, reference: str, path: str, *more: str) -> dict[str, tuple[str, int]]:
    """Return the files at or below a path of the tree, as name to object name and, with "-l", bytes."""
    where = ["--", path] if path else []
    said = run("ls-tree", "-r", "-z", "--full-tree", *more, reference, *where, what=words, hint=SHALLOW)
    found = {}
    for line in filter(None, said.split(b"\0")):
        facts, _, name = line.partition(b"\t")
        _, kind, sha, *size = facts.split()
        if kind == b"blob":  # a submodule is no file
            found[name.decode("utf-8", "surrogateescape")] = sha.decode(), int(size[0]) if size else 0
    return found


def _inside(name: str, path: str) -> str:
    """Return a file's name below `path`; the file's own name where `path` is that file."""
    return name.rpartition("/")[2] if name == path else name[len(path) + 1 :] if path else name


def _may_hold_records(name: str) -> bool:
    packed = name.endswith(PACKED) and "/" not in name
    return packed or (name.endswith(".json") and name.count("/") == 2)


def _contents(words: str, shas: list[str]) -> list[bytes]:
    """Return the objects with these names, asked for in one process."""
    said = run("cat-file", "--batch", what=words, given="".join(f"{sha}\n" for sha in shas).encode())
    contents, at = [], 0
    for _ in shas:
        end = said.index(b"\n", at)
        size = int(said[at:end].split()[2])
        contents.append(said[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return contents
