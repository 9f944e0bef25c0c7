"""Records by the words that a user names them with.

    a folder of records, loose or packed        results, /mnt/runs/4711
    a packed file                               results/dinov2_vitb14.jsonl
    an object store                             s3://bucket/prefix
    a folder or packed file at a commit of git  git:origin/main:results, git:v1.2:results/dinov2_vitb14.jsonl

Per-sample predictions are read when they are asked for, from `samples` in the folder, or beside the packed file.
"""

from __future__ import annotations

from pathlib import Path

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.results import git
from ssl_bench.results.index import Say
from ssl_bench.results.roots import FixedRoot, FolderRoot
from ssl_bench.results.store import Results

KNOWN = "a folder, FILE.jsonl, s3://bucket/prefix, git:REF:PATH"


def open_source(words: str | Path, cache: Path | None = None, say: Say = lambda _: None, known: str = KNOWN) -> Results:
    """Return the records that `words` name; raise UsageError or MissingError where there is nothing of that name.

    `cache` and `say` are those of `Results`; `known` is what the error says that may be named.
    """
    text = str(words)
    if text.startswith("git:"):
        return Results(git.root(text), None, say)
    if "://" in text:
        return Results(text, cache, say)
    path = Path(text).expanduser()
    if path.is_dir():
        return Results(path, cache, say)
    if not path.is_file():
        raise UsageError(f"{text!r} is no folder and no packed file of records. Known: {known}")
    try:
        return Results(FixedRoot(text, {path.name: path.read_bytes()}, FolderRoot(path.parent)), None, say)
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
