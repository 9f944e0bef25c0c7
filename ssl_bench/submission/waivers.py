"""Waivers: findings that do not count, a card each in `leaderboard/waivers/`, merged by those who keep the board.

There is no option that skips a check. What is waived stands in the report, with the reason.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.submission.findings import CODES, FORGED, Finding

ROOM = "leaderboard/waivers"


@dataclasses.dataclass(frozen=True)
class Waiver:
    """One kind of finding about one model in one round, and why it does not count."""

    name: str
    model: str
    """As its entry names it."""
    round: str
    """Suite and version, such as "vtab@1"."""
    finding: str
    """Name of a finding, such as "seed-missing"."""
    reason: str
    by: str
    """Who decided."""
    created: str
    """Day, ISO 8601."""
    where: str = ""
    """Part of the place that the finding names; empty: wherever it is found."""

    def __post_init__(self) -> None:
        if self.finding not in CODES:
            raise UsageError(f"no finding is called {self.finding!r}.{did_you_mean(self.finding, CODES)}")
        if self.finding in FORGED:
            raise UsageError(f"{self.finding} is never waived")
        if not self.reason.strip() or not self.by.strip() or not re.fullmatch(r"\d{4}-\d\d-\d\d", self.created):
            raise UsageError("a waiver needs a reason, who decided (by), and a day (created) such as 2026-03-01")

    def excuses(self, finding: Finding) -> bool:
        """Return whether a finding of this model and round is meant."""
        return finding.name == self.finding and self.where in finding.where


def read_all(shelves: Shelves | None = None) -> dict[str, Waiver]:
    """Return every waiver by its file's name."""
    return {name: cards.read_card(path, Waiver) for name, path in (shelves or Shelves()).names(ROOM).items()}


def applied(findings: Iterable[Finding], waivers: Mapping[str, Waiver], model: str, round: str) -> list[Finding]:
    """Return the findings, those that a waiver excuses with its reason."""
    own = [one for one in waivers.values() if (one.model, one.round) == (model, round)]
    found = []
    for finding in findings:
        excuse = next((one for one in own if one.excuses(finding)), None)
        why = f"{excuse.reason} ({excuse.by}, {excuse.created})" if excuse else ""
        found.append(dataclasses.replace(finding, waived=why))
    return found
