"""Whether numbers are far from all that is known: no fault, but where a person looks and a verifier measures again."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, median

from ssl_bench.leaderboard.entries import Entry
from ssl_bench.results.record import Record
from ssl_bench.submission.checks.base import Case
from ssl_bench.submission.findings import Finding

FEWEST = 4
"""Other models behind a judgement, and tasks behind a pattern."""
POINTS = 0.05
"""Of a metric's range, by which the best may be beaten without a word."""
FAR = 4.0
"""Robust standard deviations of a task from the entry's other tasks."""
LOOK = "Nothing to mend; a verifier measures this task again"


def findings(case: Case) -> Iterator[Finding]:
    """Give tasks that beat the best by far, or are better than the entry's other tasks let expect."""
    placed: dict[tuple[str, str], float] = {}
    for ask in case.round.asks:
        mine = case.to(ask)
        peers = _by_model(case.peers.get(mine[0].question, ())) if mine else {}
        if len(peers) < FEWEST:
            continue
        record = mine[0]
        definition = record.definition(record.task.metric)
        sign = 1.0 if definition.higher_is_better else -1.0
        value, others = sign * _mean(mine), [sign * one for one in peers.values()]
        reach = max(POINTS * (definition.high - definition.low), max(others) - median(others))
        if value > max(others) + reach and ask.task not in case.bundle.entry.contamination:
            what = f"{abs(value):.4g} beats the best of {len(others)} models, {abs(max(others)):.4g}, by far"
            yield Finding("outlier", ask.where, what, LOOK)
        placed[ask.task, ask.protocol] = (value - median(others)) / (
            _spread(others) or definition.high - definition.low
        )
    yield from _pattern(placed, case.bundle.entry)


def _pattern(placed: dict[tuple[str, str], float], entry: Entry) -> Iterator[Finding]:
    """Give tasks on which the entry stands far higher among the others than on the rest, protocol by protocol; what it
    declares to have seen explains itself."""
    for protocol in sorted({protocol for _, protocol in placed}):
        places = {
            task: place for (task, own), place in placed.items() if own == protocol and task not in entry.contamination
        }
        for task, place in places.items():
            rest = [other for one, other in places.items() if one != task]
            if len(rest) >= FEWEST and (lift := place - median(rest)) > FAR * max(1.0, _spread(rest)):
                what = f"it stands {lift:.1f} deviations higher among the known models than on the entry's other tasks"
                yield Finding("pattern", f"{task} × {protocol}", what, LOOK)


def _by_model(records: tuple[Record, ...] | list[Record]) -> dict[str, float]:
    """Return the mean over seeds of each model."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(f"{record.model.name} {record.model.weights_digest}", []).append(record)
    return {name: _mean(own) for name, own in found.items()}


def _mean(records: list[Record]) -> float:
    return fmean(record.headline.value for record in records)


def _spread(values: list[float]) -> float:
    """Return the median distance from the median, scaled to the standard deviation of normal values."""
    middle = median(values)
    return 1.4826 * median(abs(value - middle) for value in values)
