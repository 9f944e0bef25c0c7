"""From two sources to a comparison: match, test every pair, correct for their number, judge."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from ssl_bench.comparison.margins import Policy
from ssl_bench.comparison.matching import Matched, Mismatch, Pair, Question, match, surroundings
from ssl_bench.comparison.sources import Source
from ssl_bench.comparison.testing import Tested, tell_apart
from ssl_bench.comparison.verdicts import Comparison, SuiteResult, TaskResult, judge
from ssl_bench.errors import IncomparableError
from ssl_bench.results.questions import differing, flat, short
from ssl_bench.results.store import Results
from ssl_bench.statistics import holm, suite_mean
from ssl_bench.statistics.distributions import NORMAL


def examine(
    base: Source,
    cand: Source,
    policy: Policy,
    *,
    suite: str = "",
    question: Question = "code",
    models: Sequence[str] = (),
    tasks: Sequence[str] = (),
    allow: Sequence[str] = (),
    conditional: bool = False,
    further: Sequence[Path | str] = (),
) -> Comparison:
    """Return the comparison of two sources; where they cannot be compared, one that says why and nothing else."""
    found = match(base.records, cand.records, question=question, models=models, tasks=tasks, allow=allow)
    start = Comparison(base.label, cand.label, suite, question, policy.alpha, on_inconclusive=policy.on_inconclusive)
    if found.mismatches:
        return dataclasses.replace(start, mismatches=found.mismatches)
    stores = [*base.stores, *cand.stores, *map(Results, further)]
    tested: list[tuple[Pair, Tested]] = []
    wrong: list[Mismatch] = []
    for pair in found.pairs:
        try:
            one = tell_apart(
                pair,
                lambda record: base.samples(record, stores),
                lambda record: cand.samples(record, stores),
                level=1 - policy.alpha,
                conditional=conditional,
            )
            tested.append((pair, one))
        except IncomparableError as error:
            where, _, why = str(error).partition(": ")
            field, _, told = why.partition(": ")
            wrong.append(Mismatch(where, field, told, "the same samples were expected"))
    if wrong:
        return dataclasses.replace(start, mismatches=tuple(wrong))
    return dataclasses.replace(
        start,
        tasks=_task_results(tested, policy),
        suites=_suite_results(tested, policy),
        surroundings=tuple(surroundings(found.pairs, question)),
        notes=_notes(base, cand, found, question, conditional),
    )


def _notes(base: Source, cand: Source, found: Matched, question: Question, conditional: bool) -> tuple[str, ...]:
    notes = [*found.notes, *(f"skipped: {one}" for source in (base, cand) for one in source.skipped)]
    if question == "method":
        notes.append("two networks, one pretraining run each: this speaks of these weights, not of the methods")
    if conditional:
        notes.append("--conditional-on-seed: what another seed would give is left out of every interval")
    if not found.pairs:
        notes.append("no task is on both sides")
    return tuple(dict.fromkeys(notes))


def _task_results(tested: list[tuple[Pair, Tested]], policy: Policy) -> tuple[TaskResult, ...]:
    corrected = holm([one.difference.p for _, one in tested])
    variants = _variants([pair for pair, _ in tested])
    return tuple(
        _task_result(pair, one, p, variant, policy)
        for (pair, one), p, variant in zip(tested, corrected, variants, strict=True)
    )


def _task_result(pair: Pair, tested: Tested, p: float, variant: str, policy: Policy) -> TaskResult:
    first, last = pair.base[0], pair.cand[0]
    metric = first.task.metric
    definition = first.definition(metric)
    base = fmean(record.headline.value for record in pair.base)
    margin = policy.of(first.task.name).of(base, definition.unit)
    verdict = judge(tested.difference, definition.higher_is_better, p, policy.alpha, margin)
    notes = list(tested.notes)
    if tested.identical:
        verdict = "non-inferior"
    elif not tested.enough:
        verdict = "inconclusive"
        if tested.paired:
            notes.append(f"{pair.base[0].protocol.name}: {len(pair.seeds)} of the 3 shared seeds that it needs")
    return TaskResult(
        model=last.model.name,
        base_model=first.model.name,
        task=first.task.name,
        title=first.task.title,
        protocol=first.protocol.name,
        variant=variant,
        metric=metric,
        unit=definition.unit,
        higher_is_better=definition.higher_is_better,
        n=first.headline.n,
        seeds=pair.seeds,
        base=base,
        cand=fmean(record.headline.value for record in pair.cand),
        difference=tested.difference,
        p_holm=p,
        margin=margin,
        verdict=verdict,
        paired=tested.paired,
        enough=tested.enough,
        losses=tested.losses,
        wins=tested.wins,
        flipped=tested.flipped,
        answered=tested.answered,
        detectable=_detectable(tested, policy.alpha) if verdict == "inconclusive" and tested.enough else None,
        flips=tested.flips,
        notes=tuple(notes),
    )


def _detectable(tested: Tested, alpha: float) -> float | None:
    """Return (z_α + z_0.8) · se: what this test sees four times in five."""
    se = tested.difference.se
    return (NORMAL.inv_cdf(1 - alpha / 2) + NORMAL.inv_cdf(0.8)) * se if 0 < se < float("inf") else None


def _variants(pairs: Sequence[Pair]) -> list[str]:
    """Return what sets each pair apart from others of its model, task and protocol."""
    groups: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        last = pair.cand[0]
        groups[last.model.name, last.task.name, last.protocol.name].append(index)
    words = [""] * len(pairs)
    for members in groups.values():
        told = [
            flat({"features": pairs[i].cand[0].features.requested, "recipe": pairs[i].cand[0].protocol.recipe})
            for i in members
        ]
        keys = differing(told)
        for index, part in zip(members, told, strict=True):
            said = (f"{key.partition('.')[2]}={short(part.get(key), 24)}" for key in keys)
            words[index] = ", ".join(said).replace('"', "")
    return words


def _suite_results(tested: list[tuple[Pair, Tested]], policy: Policy) -> tuple[SuiteResult, ...]:
    """Return the mean over tasks of every model and protocol with several tasks in one unit and direction."""
    groups: dict[tuple[str, str, str, str, bool], list[tuple[Pair, Tested]]] = defaultdict(list)
    variants = _variants([pair for pair, _ in tested])
    for (pair, one), variant in zip(tested, variants, strict=True):
        last = pair.cand[0]
        definition = last.definition(last.task.metric)
        kind = (last.model.name, last.protocol.name, variant, definition.unit, definition.higher_is_better)
        groups[kind].append((pair, one))
    groups = {kind: members for kind, members in groups.items() if len({p.base[0].task.name for p, _ in members}) > 1}
    means = [suite_mean([one.difference for _, one in members], 1 - policy.alpha) for members in groups.values()]
    corrected = holm([mean.p for mean in means])
    results = []
    for (kind, members), mean, p in zip(groups.items(), means, corrected, strict=True):
        model, protocol, variant, unit, higher = kind
        base = fmean(fmean(record.headline.value for record in pair.base) for pair, _ in members)
        margin = policy.suite_margin.of(base, unit)
        verdict = judge(mean, higher, p, policy.alpha, margin)
        if not all(one.enough for _, one in members):
            verdict = "inconclusive"
        name = f"{protocol} ({variant})" if variant else protocol
        results.append(
            SuiteResult(model, name, len(members), unit, base, base + mean.delta, mean, p, margin, verdict, higher)
        )
    return tuple(results)
