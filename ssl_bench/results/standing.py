"""How far a record's numbers have been checked by somebody who did not submit them."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

Level = Literal["self-reported", "re-scored", "spot-checked", "reproduced", "disputed", "withdrawn"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the submitter's word alone to a run of everything; the last two: in doubt, and taken back."""


@dataclasses.dataclass(frozen=True)
class Standing:
    """What is known of a record besides itself."""

    level: Level = "self-reported"
    by: str = ""
    """Who checked, or disputes."""
    created: str = ""
    """UTC, ISO 8601."""
    note: str = ""
    """What was found, or where the dispute is discussed (an address)."""


UNCHECKED = Standing()
