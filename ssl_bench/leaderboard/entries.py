"""Entries: what a submitter declares of a model, one card per model, `leaderboard/entries/<model>.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal

ROOM = "leaderboard/entries"
Division = Literal["closed", "open"]
"""Closed: one feature spec for all tasks, one pass per image, recipes and seeds of the suite. Open: as declared."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One submitted model, in its submitter's words."""

    name: str
    """Of the model, as its records name it."""
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
