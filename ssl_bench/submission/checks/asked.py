"""Whether all that the round asks was answered, by the official recipes, of the official data, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ssl_bench import metrics
from ssl_bench.files import canonical_json
from ssl_bench.results.record import Record
from ssl_bench.submission.checks.base import Case, where
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.limits import readable
from ssl_bench.submission.rounds import Ask
from ssl_bench.tasks import TaskCard

RERUN = "Run `ssl-bench submit` with this release; it measures what is missing"


def findings(case: Case) -> Iterator[Finding]:
    """Give what is missing, foreign, or was asked otherwise."""
    yield from _round(case)
    known = {(ask.task, ask.protocol): ask for ask in case.round.asks}
    for key in sorted(case.answers.keys() - known.keys()):
        what = "the round does not ask this"
        yield Finding("task-foreign", readable(" × ".join(key)), what, "Leave these records out of the bundle")
    for ask in case.round.asks:
        yield from _seeds(ask, case.to(ask))
        for record in case.to(ask):
            yield from _as_asked(case, ask, record)


def _round(case: Case) -> Iterator[Finding]:
    said, now = case.bundle.manifest.suite, case.round
    here = f"{readable(said.name)}@{said.version}"
    if (said.name, said.version) != (now.suite.name, now.suite.version):
        yield Finding("round-closed", here, f"this round is not open; {now.name} is", f"Answer {now.name}")
    elif said.digest != now.digest:
        what = f"the bundle answers another {now.name} ({said.digest[:12]}) than the open one ({now.digest[:12]})"
        yield Finding("round-differs", here, what, "Use the cards and protocols of the release, without extra shelves")


def _seeds(ask: Ask, records: list[Record]) -> Iterator[Finding]:
    """Give seeds that are missing, foreign or answered twice: who picks seeds picks numbers."""
    counts = Counter(record.seed for record in records)
    if not counts:
        yield Finding("task-missing", ask.where, "no record answers this", RERUN)
        return
    published = f"the published seeds are {', '.join(map(str, ask.seeds))}"
    for seed in ask.seeds:
        if not counts[seed]:
            yield Finding("seed-missing", ask.where, f"seed {seed} is missing; {published}", RERUN)
    for seed in sorted(counts.keys() - {*ask.seeds}):
        mend = "Leave its record out of the bundle"
        yield Finding("seed-foreign", ask.where, f"seed {seed} was not asked for; {published}", mend)
    for seed, count in sorted(counts.items()):
        if count > 1:
            mend = "Hand in the one that was measured first"
            yield Finding("answered-twice", ask.where, f"seed {seed} has {count} records", mend)


def _as_asked(case: Case, ask: Ask, record: Record) -> Iterator[Finding]:
    """Give in what a record is no answer to the question: cut data, other data, another recipe, changed code."""
    here, protocol, task = where(record), record.protocol, record.task
    if task.truncated:
        what = f"only {task.truncated} samples per split were used"
        yield Finding("truncated", here, what, "Run without --limit")
    if record.code.get("dirty"):
        what = "it was measured by code that differs from its commit"
        yield Finding("code-dirty", here, what, "Run with a release, or with a clean checkout")
    if case.closed and (protocol.version, canonical_json(protocol.recipe)) != (ask.version, canonical_json(ask.recipe)):
        fields = {*protocol.recipe, *ask.recipe}
        other = sorted(key for key in fields if protocol.recipe.get(key) != ask.recipe.get(key))
        what = f"version {protocol.version}" + (f" with another {', '.join(map(readable, other))}" if other else "")
        mend = f"The round asks version {ask.version} with its defaults; other recipes belong to the open division"
        yield Finding("protocol-unofficial", here, f"it was asked by {what}", mend)
    if case.closed and canonical_json(record.features.requested) != canonical_json(ask.requested):
        what = f"the features were asked for as {readable(canonical_json(record.features.requested))}"
        mend = f"The round asks for {canonical_json(ask.requested)}; others belong to the open division"
        yield Finding("features-unofficial", here, what, mend)
    yield from _data(case, ask, record)


def _read_otherwise(ask: Ask, record: Record, card: TaskCard) -> Iterator[str]:
    """Give what a record says of its metrics that is not so; unit, direction and range no record can state wrongly."""
    first = ask.metric or card.metric
    if record.task.metric != first:
        yield f"the headline is {readable(record.task.metric)}, not {first}"
    for name, said in record.task.metrics.items():
        if (metric := metrics.METRICS.get(name)) is None:
            continue  # of an older release
        ceiling = card.ceiling if name == first else None
        if ceiling is None and metric.unit == "fraction":
            ceiling = metric.high if metric.higher_is_better else metric.low
        if said.chance != metric.chance(card.classes):
            yield f"the chance level of {name} is {said.chance}, not {metric.chance(card.classes)}"
        if said.ceiling != ceiling:
            yield f"the ceiling of {name} is {said.ceiling}, not {ceiling}"


def _data(case: Case, ask: Ask, record: Record) -> Iterator[Finding]:
    """Give whether a record's data is another than the task's card, or everybody else's records, say."""
    here, task, card = where(record), record.task, case.round.tasks[ask.task]
    mend = "`ssl-bench data check` says how the data differs"
    if (task.version, task.kind, task.classes) != (card.version, card.kind, card.classes):
        what = f"version {task.version} of {task.classes} classes, {readable(task.kind)}"
        yield Finding("task-differs", here, f"the record is of another task: {what}", mend)
        return
    if differing := sorted(_read_otherwise(ask, record, card)):
        what = f"its numbers are to be read otherwise than the task's: {', '.join(differing)}"
        yield Finding("task-differs", here, what, "Hand in records as `ssl-bench run` wrote them")
    others = {peer.task.digest for peer in case.others if peer.task.name == ask.task and not peer.task.truncated}
    expected = {card.source.digest} if card.source.digest else others
    if not expected:
        what = "neither the task's card nor a record on the board says what the data must be"
        yield Finding("task-unpinned", here, what, "Nothing to mend; a person compares the data")
    elif task.digest not in expected and not task.truncated:
        what = f"images, labels or splits are other ({task.digest[:12]}) than the task's ({min(expected)[:12]})"
        yield Finding("task-differs", here, what, mend)
