"""Entries: what a submitter declares of a model, one card per model, `leaderboard/entries/<model>.toml`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError
from ssl_bench.results.slugs import slug

ROOM = "leaderboard/entries"
Division = Literal["closed", "open"]
"""Closed: one feature spec for all tasks, one pass per image, recipes and seeds of the suite. Open: as declared."""
NEEDED = ("name", "organisation", "contact", "licence", "weights")
LONGEST = 2_000
"""Characters of one field."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One submitted model, in its submitter's words."""

    name: str
    """Of the model, as its records name it; the file is called so, too."""
    organisation: str
    contact: str
    licence: str
    """Of the weights."""
    weights: str
    """Where the weights can be had (an address), or "private"."""
    sha256: str
    """Of the weights' file."""
    data: tuple[str, ...]
    """Every dataset that the weights have seen, in any stage; "unknown" is an answer."""
    labels_used: bool
    division: Division = "closed"
    contamination: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Task to what the weights have seen of its images."""
    passes_per_image: int = 1
    code: str = ""
    """Where the training code can be read (an address)."""
    paper: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise UsageError("; ".join(problems))


def _problems(entry: Entry) -> Iterator[str]:
    """Give everything that a reader of the card would ask for."""
    texts = {field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)}
    words = {key: text for key, text in texts.items() if isinstance(text, str)}
    lists = [("data", word) for word in entry.data] + [("contamination", seen) for seen in entry.contamination.values()]
    long = sorted({key for key, word in (*words.items(), *lists) if len(word) > LONGEST})
    unseen = {key for key, word in (*words.items(), *lists) if not word.replace("\n", " ").isprintable()}
    yield from (f"{key} holds letters that are not shown, or that turn the text round" for key in sorted(unseen))
    yield from (f"{key} has more than {LONGEST} characters" for key in long)
    yield from (f"{key} is empty" for key in NEEDED if not words[key].strip())
    if not re.fullmatch("[0-9a-f]{64}", entry.sha256):
        yield "sha256 is not 64 digits 0-9 and a-f (`ssl-bench model digest` prints it)"
    if not entry.data or not all(word.strip() for word in entry.data):
        yield 'data names no dataset (["unknown"] is an answer)'
    if entry.passes_per_image < 1:
        yield "passes_per_image is less than 1"
    for task, seen in entry.contamination.items():
        if not seen.strip():
            yield f"contamination.{task} does not say what was seen of the task's images"


def from_table(table: Mapping[str, Any], where: str) -> Entry:
    """Return the entry in a TOML table; raise UsageError naming `where` for an unknown, missing or empty key."""
    return cards.from_table(Entry, table, where)


def read(path: Path) -> Entry:
    """Return the entry in a file, which is called as its model's records are: `slugs.slug(name).toml`."""
    entry = from_table(cards.read_toml(path), str(path))
    if path.stem != slug(entry.name):
        raise UsageError(f"{path}: name is {entry.name!r}, so the file must be called {slug(entry.name)}.toml")
    return entry


def read_all(shelves: Shelves | None = None) -> dict[str, Entry]:
    """Return every entry by its model's name."""
    found = (read(path) for path in (shelves or Shelves()).names(ROOM).values())
    return {entry.name: entry for entry in found}
