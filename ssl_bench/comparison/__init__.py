"""Two sets of records, compared sample by sample: regressed, improved, non-inferior or inconclusive.

Not called `compare`, which is the function: a module of that name would take its place in the package on import.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ssl_bench.comparison import sources
from ssl_bench.comparison.examine import examine
from ssl_bench.comparison.margins import Policy, parse
from ssl_bench.comparison.matching import Question
from ssl_bench.comparison.verdicts import Comparison, SuiteResult, TaskResult, Verdict
from ssl_bench.errors import IncomparableError
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results

Side = str | Path | Results | Iterable[Record]


def compare(
    base: Side,
    cand: Side | None = None,
    *,
    models: Sequence[str] = (),
    tasks: Sequence[str] = (),
    question: Question | None = None,
    margin: str | float = "0.3pt",
    suite_margin: str | float = "0.2pt",
    alpha: float = 0.05,
    allow: Sequence[str] = (),
    conditional: bool = False,
    samples: Sequence[Path] = (),
) -> Comparison:
    """Return the comparison of two sets of records, each a folder, a packed file, "git:REF:PATH", "baseline:NAME",
    `Results` or records.

    Without `cand`, two `models` of one set are compared. Two models are two networks: the question is then "method",
    else "code", which expects the same weights on both sides.
    `samples` are further folders with per-sample predictions.
    Raises IncomparableError that tells every field in which the two sides differ, UsageError where there is no record.
    """
    left = sources.get(base)
    right = left if cand is None else sources.get(cand)
    policy = Policy(parse(margin, "margin"), parse(suite_margin, "suite_margin"), alpha)
    found = examine(
        left,
        right,
        policy,
        question=question or ("method" if len(set(models)) == 2 else "code"),
        models=models,
        tasks=tasks,
        allow=allow,
        conditional=conditional,
        further=samples,
    )
    if found.mismatches:
        raise IncomparableError("\n".join(map(str, found.mismatches)))
    return found


__all__ = ["Comparison", "Side", "SuiteResult", "TaskResult", "Verdict", "compare", "examine"]
