"""The validator: what a submitter runs before handing in is what the board runs after, to the letter.

It is a function of the bundle, the round, and what is known; it opens no connection and executes nothing of the bundle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from ssl_bench.errors import EXIT_NEGATIVE, EXIT_OK, UsageError
from ssl_bench.submission import waivers as waiving
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.checks import asked, card, duplicates, model, outliers, predictions, structure
from ssl_bench.submission.checks.base import Case, Known
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.limits import readable
from ssl_bench.submission.rounds import Round
from ssl_bench.submission.waivers import Waiver

CHECKS = (structure, asked, model, predictions, card, duplicates, outliers)
NO_WAIVERS: Mapping[str, Waiver] = {}


@dataclasses.dataclass(frozen=True)
class Report:
    """What the validator says of a bundle."""

    bundle: str
    """sha256 of its manifest; empty where it could not be read."""
    model: str
    round: str
    """The open one, such as "vtab@1"; empty where the bundle could not be read."""
    findings: tuple[Finding, ...]
    records: int = 0
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Task to whose labels its numbers were computed from."""

    @property
    def accepted(self) -> bool:
        """Whether nothing refuses the bundle."""
        return not any(finding.refuses for finding in self.findings)

    @property
    def exit_code(self) -> int:
        return EXIT_OK if self.accepted else EXIT_NEGATIVE


def validate(bundle: Bundle, round: Round, known: Known, waivers: Mapping[str, Waiver] = NO_WAIVERS) -> Report:
    """Return what is wrong with a bundle that was read, and what a person should look at."""
    case = Case(bundle, round, known)
    name = bundle.entry.name
    found = waiving.applied(_findings(case), waivers, name, round.name)
    found.sort(key=lambda one: (one.code, one.where, one.what))
    labels = predictions.labels(case)
    return Report(bundle.digest, readable(name), round.name, tuple(found), len(bundle.records), labels)


def unreadable(path: Path, error: UsageError) -> Report:
    """Return the report of a bundle's file that cannot be read."""
    what = str(error).removeprefix(f"{path}: ")
    mend = "Make the bundle with `ssl-bench submit`, and send the file as it is"
    return Report("", "", "", (Finding("unreadable", path.name, what, mend),))


def _findings(case: Case) -> Iterator[Finding]:
    for check in CHECKS:
        yield from check.findings(case)
