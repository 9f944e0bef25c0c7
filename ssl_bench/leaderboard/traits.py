"""What a reader may choose rows by besides their numbers: data, licence, checks, pooling, division."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ssl_bench.leaderboard.rows import Row
from ssl_bench.results.standing import LEVELS

NOT_STATED = "not stated"


@dataclasses.dataclass(frozen=True)
class Traits:
    """What is known of a row in words; an entry's declaration stands before the model card's."""

    data: tuple[str, ...]
    """What the weights have seen."""
    licence: str
    """Of the weights."""
    level: str
    """How far its numbers were checked, as `standing.Level`."""
    pooling: str
    division: str
    """Of its entry; "not stated" where there is none."""


def of(row: Row) -> Traits:
    """Return what is known of a row."""
    about, entry = row.model.about, row.entry
    stated = (str(about["data"]),) if about.get("data") else ()
    features = next((cell.records[0].features for cell in row.cells if cell), None)
    pooling = (features.resolved.get("pooled") or features.requested.get("pooled")) if features else ""
    return Traits(
        data=(entry.data if entry and entry.data else stated) or (NOT_STATED,),
        licence=str((entry.licence if entry else "") or about.get("licence") or NOT_STATED),
        level=row.standing.level,
        pooling=str(pooling or NOT_STATED),
        division=entry.division if entry else NOT_STATED,
    )


def facets(rows: Iterable[Row], protocols: Iterable[str]) -> list[tuple[str, str, list[str]]]:
    """Return (key, title, values) of every closed set of which the rows have more than one value."""
    found = [of(row) for row in rows]
    known: list[tuple[str, str, list[str]]] = [
        ("protocol", "Protocol", list(protocols)),
        ("data", "Data", _sorted(name for one in found for name in one.data)),
        ("licence", "Licence", _sorted(one.licence for one in found)),
        ("level", "Checked", [str(level) for level in LEVELS if any(one.level == level for one in found)]),
        ("pooling", "Pooling", _sorted(one.pooling for one in found)),
        ("division", "Division", _sorted(one.division for one in found)),
    ]
    return [(key, title, values) for key, title, values in known if len(values) > 1]


def _sorted(values: Iterable[str]) -> list[str]:
    return sorted(set(values), key=lambda value: (value == NOT_STATED, value.lower(), value))
