"""How far a record's numbers have been checked by somebody who did not submit them.

A board reads every verification that names a record. The furthest check that agreed counts. A check that disagreed, or
a dispute, counts above all until a later verification settles it; doubt needs no signature, trust may.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, get_args

from ssl_bench.results.verifications import Check, Verification

Level = Literal["self-reported", "re-scored", "spot-checked", "reproduced", "disputed", "withdrawn"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the submitter's word alone to a run of everything; the last two: in doubt, and taken back."""
EARNS: Mapping[Check, Level] = {
    "schema": "self-reported",
    "rescore": "re-scored",
    "sample": "spot-checked",
    "full": "reproduced",
}
"""What a check that agreed makes of a record."""


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


@dataclasses.dataclass(frozen=True)
class Badge:
    """How a level is shown."""

    word: str
    meaning: str
    """One sentence for a reader who points at it."""
    sign: str
    """Says the level without colour."""
    colour: str
    dark: str
    """Of the word on a light page, and on a dark one; each has a contrast of 4.5 and more."""


BADGES: Mapping[Level, Badge] = {
    "self-reported": Badge(
        "self-reported", "Nobody but the submitter has checked these numbers.", "○", "#57606a", "#9aa4ae"
    ),
    "re-scored": Badge(
        "re-scored", "Every metric was computed once more from the submitted predictions.", "◔", "#0550ae", "#79b8ff"
    ),
    "spot-checked": Badge(
        "spot-checked",
        "Images and tasks drawn after the submission were run again with the weights.",
        "◑",
        "#6639ba",
        "#c8a6ff",
    ),
    "reproduced": Badge("reproduced", "Every task was run again by somebody else.", "●", "#116329", "#56d364"),
    "disputed": Badge("disputed", "A check disagreed, or somebody doubts these numbers.", "⚠", "#a40e26", "#ff9492"),
    "withdrawn": Badge("withdrawn", "These numbers were taken back.", "✕", "#7d4e00", "#e3b341"),
}


def standings(found: Iterable[Verification], trusted: Collection[str] | None = None) -> dict[str, Standing]:
    """Return content digest of a record to how it stands, for the records that a verification names.

    `found` are verifications, oldest first. `trusted` are the content digests of those whose signature counts; None
    trusts all.
    """
    of: dict[str, list[Verification]] = defaultdict(list)
    for one in found:
        if trusted is None or one.content_digest in trusted or _doubts(one):
            for digest in one.records:
                of[digest].append(one)
    known: dict[tuple[int, ...], Standing] = {}  # records of one entry have the same verifications
    result = {}
    for digest, said in of.items():
        key = tuple(map(id, said))
        if key not in known:
            known[key] = _standing(said)
        result[digest] = known[key]
    return result


def lowest(found: Iterable[Standing]) -> Standing:
    """Return the standing of several records together: disputed if any is, else the least checked."""
    order = {level: place for place, level in enumerate(("disputed", "withdrawn", *LEVELS[:4]))}
    return min(found, key=lambda standing: order[standing.level], default=UNCHECKED)


def _doubts(one: Verification) -> bool:
    return one.level != "settled" and not one.agrees


def _standing(said: Iterable[Verification]) -> Standing:
    """Return what verifications of one record, oldest first, come to."""
    doubt: Verification | None = None
    best: Verification | None = None
    for one in sorted(said, key=lambda one: (one.created, one.level == "settled")):
        if one.level == "settled":
            doubt = None
        elif _doubts(one):
            doubt = one
        elif best is None or LEVELS.index(EARNS[one.level]) >= LEVELS.index(EARNS[best.level]):
            best = one
    if doubt is not None:
        return Standing("disputed", doubt.verifier, doubt.created, doubt.link or doubt.outcome)
    if best is None:
        return UNCHECKED
    return Standing(EARNS[best.level], best.verifier, best.created, best.link)
