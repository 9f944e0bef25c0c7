"""What a verification found, as JSON, as Markdown, and as the small file that is kept beside the records."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from ssl_bench import __version__, cards
from ssl_bench.results.verifications import AGREES, LONGEST, Verification, now
from ssl_bench.submission import drawing, verifying
from ssl_bench.submission.claims import Claim
from ssl_bench.submission.limits import readable
from ssl_bench.submission.verifying import Redone

Level = Literal["schema", "rescore", "sample", "full"]
LEVELS: Mapping[Level, str] = {
    "schema": "structure, digests and records were checked, and that the round's rules are kept",
    "rescore": "every metric was computed again from the predictions",
    "sample": "drawn images were extracted and drawn tasks run again, with the weights",
    "full": "every task was run again, with the weights",
}
SCHEMA = "ssl-bench.verification-report/1"


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What was drawn to be done again."""

    nonce: str
    images: int
    """Of each task."""
    tasks: tuple[str, ...]
    """The most surprising one first."""


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """What was done again of a claim, and what came of it."""

    claim: Claim
    level: Level
    redone: tuple[Redone, ...]
    verifier: str
    created: str = dataclasses.field(default_factory=now)
    drawn: Drawn | None = None

    @property
    def wrong(self) -> tuple[Redone, ...]:
        """What did not agree."""
        return tuple(one for one in self.redone if one.outcome == "disagrees")

    @property
    def agrees(self) -> bool:
        """Whether everything that was done again agreed."""
        return not self.wrong

    @property
    def earned(self) -> Level:
        """The level that counts: metrics that agree with the submitter's own labels are the submitter's word."""
        stated = any(one.what == verifying.STATED for one in self.redone)
        return "schema" if stated and self.level == "rescore" and self.agrees else self.level

    @property
    def tolerance(self) -> dict[str, float]:
        """What was still taken for agreement."""
        found = {"metric": 1e-6}
        if self.level in ("sample", "full"):
            found |= {"cosine": verifying.COSINE, "length": verifying.LENGTH}
            found |= {"points": verifying.POINTS, "replicate_deviations": verifying.REPLICATES}
        return found

    @property
    def odds(self) -> Mapping[int, float]:
        """Falsified tasks to the probability that those that were run again tell, had they all been drawn at random."""
        total = len(self.claim.tasks)
        if self.level in ("schema", "rescore"):
            return {}
        drawn = len(self.drawn.tasks) if self.level == "sample" and self.drawn else total
        return drawing.odds(total, drawn)

    def verification(self) -> Verification:
        """Return what is kept beside the records, unsigned."""
        outcome = AGREES
        if self.wrong:
            first = self.wrong[0]
            outcome = readable(f"{len(self.wrong)} disagree; {first.job}: {first.what}: {first.said}", LONGEST)
        return Verification(
            model=self.claim.model,
            records=tuple(sorted(record.content_digest for record in self.claim.records)),
            level=self.earned,
            outcome=outcome,
            verifier=self.verifier,
            created=self.created,
            bundle=self.claim.bundle.digest if self.claim.bundle else "",
            nonce=self.drawn.nonce if self.drawn else "",
            tolerance=self.tolerance,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "schema": SCHEMA,
            "model": self.claim.model,
            "claim": self.claim.digest,
            "bundle": self.claim.bundle is not None,
            "level": self.level,
            "earned": self.earned,
            "agrees": self.agrees,
            "records": len(self.claim.records),
            "tolerance": self.tolerance,
            "drawn": cards.plain(self.drawn) if self.drawn else None,
            "odds": [{"falsified": false, "caught": chance} for false, chance in self.odds.items()],
            "redone": cards.plain(self.redone),
            "verifier": self.verifier,
            "release": __version__,
            "created": self.created,
        }

    def odds_line(self) -> str:
        """Return the odds in words; "" where nothing was run again."""
        if not self.odds:
            return ""
        total = len(self.claim.tasks)
        drawn = len(self.drawn.tasks) if self.level == "sample" and self.drawn else total
        said = ", ".join(f"{false}: {100 * chance:.0f} %" for false, chance in self.odds.items())
        return f"{drawn} of {total} tasks were run again. Chance to catch falsified tasks, by their number: {said}"

    def markdown(self) -> str:
        """Return the report for people; a stranger's words are kept from being markup."""
        verdict = "agrees" if self.agrees else f"**{len(self.wrong)} disagree**"
        lines = [
            f"### {_cell(self.claim.model)}: {verdict}",
            "",
            f"- level `{self.level}`: {LEVELS[self.level]}",
            f"- claim `{self.claim.digest}`, {len(self.claim.records)} records, {len(self.claim.tasks)} tasks",
        ]
        if self.earned != self.level:
            lines += ["- counts as self-reported: labels of some tasks are not here, and were the submitter's"]
        if self.drawn:
            tasks = ", ".join(_cell(name) for name in self.drawn.tasks)
            lines += [f"- nonce `{_cell(self.drawn.nonce)}`: {self.drawn.images} images of each task; tasks {tasks}"]
        lines += [f"- {self.odds_line()}"] if self.odds else []
        lines += ["- may differ: " + ", ".join(f"{name} {value:g}" for name, value in self.tolerance.items())]
        lines += [f"- by {_cell(self.verifier)}, {self.created}, ssl-bench {__version__}", ""]
        lines += ["| what was done again | | outcome | found |", "|---|---|---|---|"]
        order = {"disagrees": 0, "open": 1, "agrees": 2}
        for one in sorted(self.redone, key=lambda one: order[one.outcome]):
            lines.append(f"| {_cell(one.job)} | {one.what} | {one.outcome} | {_cell(one.said)} |")
        return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Return a stranger's words for a table of Markdown: no markup of it or of HTML, on one line."""
    clean = readable(text, 400).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{char}" if char in "\\`*_[]()|#!~@" else char for char in clean)
