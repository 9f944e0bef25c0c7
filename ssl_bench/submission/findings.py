"""What a validator can find: a code that does not change, a name, and in each case what, where and how to mend it.

Codes that begin with E refuse a bundle, those that begin with W ask a person to look.
"""

from __future__ import annotations

import dataclasses

CODES = {
    "unreadable": "E001",
    "round-closed": "E002",
    "round-differs": "E003",
    "attestation-differs": "E004",
    "signature-wrong": "E005",
    "too-large": "E006",
    "task-missing": "E010",
    "task-foreign": "E011",
    "seed-missing": "E012",
    "seed-foreign": "E013",
    "answered-twice": "E014",
    "truncated": "E015",
    "code-dirty": "E016",
    "protocol-unofficial": "E017",
    "features-unofficial": "E018",
    "features-differ": "E019",
    "task-differs": "E020",
    "model-differs": "E021",
    "predictions-missing": "E030",
    "metric-differs": "E031",
    "labels-differ": "E032",
    "sketch-missing": "E033",
    "sketch-differs": "E034",
    "card-name": "E040",
    "card-weights": "E041",
    "contamination-undeclared": "E042",
    "weights-unsafe": "E043",
    "division": "E044",
    "name-taken": "E045",
    "weights-known": "E050",
    "predictions-known": "E051",
    "signature-unchecked": "W101",
    "harness-differs": "W102",
    "data-unknown": "W103",
    "task-unpinned": "W104",
    "headline-stated": "W105",
    "predictions-alike": "W151",
    "name-alike": "W152",
    "outlier": "W153",
    "pattern": "W154",
}
FORGED = frozenset({"unreadable", "attestation-differs", "signature-wrong", "metric-differs", "labels-differ"})
"""Names that no waiver excuses."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or strange."""

    name: str
    """One of `CODES`."""
    where: str
    """Of the bundle: a task and protocol, a member, or a key of the card."""
    what: str
    mend: str
    """What the submitter can do."""
    waived: str = ""
    """Why it does not count, where a waiver in the repository says so."""

    @property
    def code(self) -> str:
        return CODES[self.name]

    @property
    def refuses(self) -> bool:
        """Whether the bundle cannot be taken as it is."""
        return self.code.startswith("E") and not self.waived

    def __str__(self) -> str:
        return f"{self.code} {self.name} {self.where}: {self.what}. {self.mend}"
