"""What a plot is for a page, and how much of a board it shows."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Sequence
from typing import TypeVar

MOST = 50
"""Models that a plot shows; of more, the first."""
T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Figure:
    """One plot."""

    id: str
    """Of letters, digits and hyphens; no other plot of the board has it."""
    title: str
    """Foreign names in it are not escaped."""
    note: str
    """How to read it, in a sentence or two; where `svg` is empty, why there is no plot. Not escaped."""
    svg: str
    """An svg element whose foreign names are escaped, or empty."""


def absent(id: str, title: str, why: str) -> Figure:
    """Return the place of a plot that cannot be made."""
    return Figure(id, title, f"Left out: {why}.", "")


def slug(name: str) -> str:
    """Return a foreign name as part of an id: two names never give the same."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
    usual = "-" not in name and plain == name.replace("_", "-")
    return plain if usual else f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def first(found: Sequence[T], most: int = MOST) -> tuple[Sequence[T], str]:
    """Return the first so many, and a sentence about the others where there are any."""
    return found[:most], f" The first {most} of {len(found)} models are shown." if len(found) > most else ""
