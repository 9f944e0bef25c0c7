"""Verdicts, and what a comparison as a whole is.

    regressed       worse by a test that is corrected for all tasks, and by no less than the margin
    improved        better by that test
    non-inferior    the interval's worse end is within the margin
    inconclusive    neither: the data cannot tell

The same answers to every sample are non-inferior, however few they are.

Two-sided tests of level α of which only the worse side counts, once over all tasks and once over their means, raise a
false alarm in at most α of all comparisons.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, Literal

from ssl_bench.cards import plain
from ssl_bench.comparison.matching import Mismatch
from ssl_bench.comparison.testing import Flip
from ssl_bench.errors import EXIT_INCOMPARABLE, EXIT_INCONCLUSIVE, EXIT_NEGATIVE, EXIT_OK
from ssl_bench.statistics import Difference

if TYPE_CHECKING:
    import pandas

Verdict = Literal["regressed", "improved", "non-inferior", "inconclusive"]
WORST_FIRST: tuple[Verdict, ...] = ("regressed", "inconclusive", "improved", "non-inferior")
SCHEMA = "ssl-bench.comparison/1"


@dataclasses.dataclass(frozen=True)
class TaskResult:
    """What one task says."""

    model: str
    """The candidate's model; base's too, where they are called alike."""
    base_model: str
    task: str
    title: str
    protocol: str
    variant: str
    """What sets this apart from other recipes of the protocol on this task; usually empty."""
    metric: str
    unit: str
    higher_is_better: bool
    n: int
    """Samples, queries or episodes."""
    seeds: tuple[int, ...]
    base: float
    cand: float
    """Means over seeds."""
    difference: Difference
    """Candidate minus base, in the metric's own direction."""
    p_holm: float
    """Corrected for all tasks of this comparison."""
    margin: float
    """In the metric's unit."""
    verdict: Verdict
    paired: bool
    """False where samples could not be put beside each other; the interval is then far too wide."""
    enough: bool
    """False where the data allow no verdict: fewer than three seeds of a stochastic protocol, or no pairs."""
    losses: int | None
    wins: int | None
    flipped: int | None
    answered: int
    detectable: float | None
    """The smallest true difference that this test sees four times in five, where it was inconclusive."""
    flips: tuple[Flip, ...]
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """The task with what sets this row apart."""
        return f"{self.task} ({self.variant})" if self.variant else self.task


@dataclasses.dataclass(frozen=True)
class SuiteResult:
    """What the mean over tasks says."""

    model: str
    protocol: str
    tasks: int
    unit: str
    base: float
    cand: float
    difference: Difference
    p_holm: float
    """Corrected for all means of this comparison."""
    margin: float
    verdict: Verdict
    higher_is_better: bool = True


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Two sets of records, side by side."""

    base: str
    cand: str
    suite: str
    question: str
    alpha: float
    tasks: tuple[TaskResult, ...] = ()
    suites: tuple[SuiteResult, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()
    """Why the two sides cannot be compared; then there is nothing else."""
    surroundings: tuple[str, ...] = ()
    """How machine, packages, code and resolved features differ."""
    notes: tuple[str, ...] = ()
    calibration: str = ""
    """What runs of one and the same commit differed by, where that was measured."""
    on_inconclusive: str = "warn"

    @property
    def verdict(self) -> Verdict | Literal["incomparable"]:
        """The worst of all verdicts."""
        if self.mismatches:
            return "incomparable"
        found = {one.verdict for one in self.results}
        return next((verdict for verdict in WORST_FIRST if verdict in found), "non-inferior")

    @property
    def exit_code(self) -> int:
        """0 no regression, 1 regressed, 4 inconclusive where that shall fail, 5 incomparable."""
        codes = {"regressed": EXIT_NEGATIVE, "incomparable": EXIT_INCOMPARABLE}
        if self.verdict == "inconclusive" and self.on_inconclusive == "fail":
            return EXIT_INCONCLUSIVE
        return codes.get(self.verdict, EXIT_OK)

    @property
    def results(self) -> list[TaskResult | SuiteResult]:
        """Every task, then every mean."""
        return [*self.tasks, *self.suites]

    @property
    def regressions(self) -> list[TaskResult | SuiteResult]:
        """The tasks and means that regressed."""
        return [one for one in self.results if one.verdict == "regressed"]

    def frame(self) -> pandas.DataFrame:
        """Return the tasks as a data frame, a row each, values as in the records (fractions, not percent)."""
        import pandas

        return pandas.DataFrame([_row(one) for one in self.tasks])

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values: the contract with scripts."""
        suites = [_flat(one) for one in self.suites]
        body: dict[str, Any] = plain(dataclasses.replace(self, tasks=(), suites=()))
        body |= {"tasks": [_flat(one) for one in self.tasks], "suites": suites}
        return {"schema": SCHEMA, "verdict": self.verdict, "exit_code": self.exit_code, **body}


def _flat(one: TaskResult | SuiteResult) -> dict[str, Any]:
    """Return a result with its difference beside its other fields; what is infinite has no number."""
    body: dict[str, Any] = plain(one)
    body |= body.pop("difference")
    for key, value in body.items():
        if isinstance(value, float) and not math.isfinite(value):
            body[key] = None
    return body


def _row(one: TaskResult) -> dict[str, Any]:
    row = _flat(one)
    for name in ("flips", "notes"):
        del row[name]
    return row | {"seeds": len(one.seeds)}


def judge(difference: Difference, higher_is_better: bool, p: float, alpha: float, margin: float) -> Verdict:
    """Return the verdict on a difference whose corrected p-value is `p`."""
    worse_end = difference.low if higher_is_better else -difference.high
    gain = difference.delta if higher_is_better else -difference.delta
    if p < alpha and gain < 0 and -gain >= margin:
        return "regressed"
    if p < alpha and gain > 0:
        return "improved"
    return "non-inferior" if worse_end > -margin else "inconclusive"
