"""Which records of two sides answer the same question, and what differs where they do not.

A pair is one model, task, protocol and question with the seeds that both sides share. What base has and the candidate
has not is refused, so that a job that fell out of a run cannot pass for a good one; what the candidate has in addition
is listed. Nothing is matched by its order.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.results.questions import asked, differing, flat, short
from ssl_bench.results.record import Record

Question = Literal["code", "method"]
"""code: the same weights, so that the expected difference is zero; method: two networks."""
Slot = tuple[str, str, str]
"""Model (empty where two networks are compared), task, protocol."""


@dataclasses.dataclass(frozen=True)
class Mismatch:
    """A field in which the two sides do not answer the same question."""

    where: str
    field: str
    base: str
    cand: str

    def __str__(self) -> str:
        return f"{self.where}: {self.field}: {self.base} ≠ {self.cand}"


@dataclasses.dataclass(frozen=True)
class Pair:
    """One question with its answers on both sides, by seed in the same order."""

    base: tuple[Record, ...]
    cand: tuple[Record, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(record.seed for record in self.base)


@dataclasses.dataclass(frozen=True)
class Matched:
    """What two sides have in common, and what they have not."""

    pairs: tuple[Pair, ...]
    mismatches: tuple[Mismatch, ...]
    notes: tuple[str, ...]


def match(
    base: Iterable[Record],
    cand: Iterable[Record],
    *,
    question: Question = "code",
    models: Sequence[str] = (),
    tasks: Sequence[str] = (),
    allow: Sequence[str] = (),
) -> Matched:
    """Return the pairs of two sides and every mismatch between them.

    `models` names a model for both sides, or one for each. `tasks` keeps these alone. `allow` names fields that may
    differ, such as "protocol.version", and "missing", "truncated" or "seeds" for what may be absent.
    Raises UsageError where a name chooses nothing.
    """
    left, right = _chosen(list(base), list(cand), models, tasks)
    by_name = question == "code" or not (len(_names(left)) == len(_names(right)) == 1)
    bases, cands = _slots(left, by_name), _slots(right, by_name)
    pairs: list[Pair] = []
    mismatches: list[Mismatch] = []
    notes: list[str] = []
    for slot in sorted({*bases, *cands}):
        found, wrong, said = _match_slot(slot, bases.get(slot, {}), cands.get(slot, {}), allow)
        pairs += found
        mismatches += wrong
        notes += said
    for pair in pairs:
        mismatches += _wrong_in(pair, question, allow)
    return Matched(tuple(pairs), tuple(mismatches), tuple(notes))


def _chosen(
    base: list[Record], cand: list[Record], models: Sequence[str], tasks: Sequence[str]
) -> tuple[list[Record], list[Record]]:
    if len(models) > 2:
        raise UsageError(f"two models can be compared, not {len(models)}: {', '.join(models)}")
    for side, name in zip((base, cand), (models[0], models[-1]) if models else (), strict=False):
        if not any(record.model.name == name for record in side):
            raise UsageError(f"no record is of the model {name!r}.{did_you_mean(name, _names(side))}")
        side[:] = [record for record in side if record.model.name == name]
    if tasks:
        for side in (base, cand):
            side[:] = [record for record in side if record.task.name in tasks]
        if not base:
            raise UsageError(f"base holds no record of {', '.join(tasks)}")
    return base, cand


def _names(records: list[Record]) -> set[str]:
    return {record.model.name for record in records}


def _slots(records: list[Record], by_name: bool) -> dict[Slot, dict[str, list[Record]]]:
    """Return the records by slot and question."""
    slots: dict[Slot, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        slot = (record.model.name if by_name else "", record.task.name, record.protocol.name)
        slots[slot][record.question].append(record)
    return slots


def _match_slot(
    slot: Slot, base: dict[str, list[Record]], cand: dict[str, list[Record]], allow: Sequence[str]
) -> tuple[list[Pair], list[Mismatch], list[str]]:
    where = " · ".join(filter(None, slot))
    pairs: list[Pair] = []
    mismatches: list[Mismatch] = []
    notes: list[str] = []
    left = [base[digest] for digest in base if digest not in cand]
    right = [cand[digest] for digest in cand if digest not in base]
    matched = [(base[digest], cand[digest]) for digest in base if digest in cand]
    for one in left:
        if not right:
            if "missing" not in allow:
                mismatches.append(Mismatch(where, "record", "present", "missing"))
            continue
        other = min(right, key=lambda other: len(_differences(one[0], other[0])))
        right.remove(other)
        fields = _differences(one[0], other[0])
        wrong = [field for field in fields if not _allowed(field, allow)]
        if wrong:
            mismatches += [Mismatch(where, field, *fields[field]) for field in wrong]
        else:
            notes += [f"{where}: {field} differs and is allowed to: {' ≠ '.join(fields[field])}" for field in fields]
            matched.append((one, other))
    notes += [f"{where}: only the candidate has it" for _ in right]
    for one, other in matched:
        found, lacking = _by_seed(where, one, other, allow)
        pairs += found
        mismatches += lacking
    return pairs, mismatches, notes


def _by_seed(
    where: str, base: list[Record], cand: list[Record], allow: Sequence[str]
) -> tuple[list[Pair], list[Mismatch]]:
    """Return the pair of two sides of one question, unless the candidate lacks a seed."""
    mismatches = []
    seeds, others = _of_seeds(base, cand), _of_seeds(cand, base)
    shared = sorted(seeds.keys() & others.keys())
    if (missing := sorted(seeds.keys() - others.keys())) and "seeds" not in allow:
        mismatches.append(Mismatch(where, "seeds", short(sorted(seeds)), f"{short(sorted(others))}, without {missing}"))
    if not shared or mismatches:
        return [], mismatches
    return [Pair(tuple(seeds[seed] for seed in shared), tuple(others[seed] for seed in shared))], []


def _of_seeds(records: list[Record], others: list[Record]) -> dict[int, Record]:
    """Return one record per seed. Where one name stands for several networks, that is one whose weights the other side
    has too, and the newest of these."""
    there = {record.model.weights_digest for record in others}
    ordered = sorted(records, key=lambda record: (record.model.weights_digest in there, record.created))
    return {record.seed: record for record in ordered}


def _allowed(field: str, allow: Sequence[str]) -> bool:
    return any(field == name or field.startswith(f"{name}.") for name in allow)


def _differences(base: Record, cand: Record) -> dict[str, tuple[str, str]]:
    """Return the fields in which two questions differ, with both values."""
    parts = [_told(base), _told(cand)]
    return {field: (short(parts[0].get(field)), short(parts[1].get(field))) for field in differing(parts)}


def _told(record: Record) -> dict[str, Any]:
    """Return what was asked, with what explains a task's digest."""
    task = record.task
    more = {"task.metric": task.metric, "task.samples": task.samples, "task.classes": task.classes}
    return flat(asked(record) | more)


def _wrong_in(pair: Pair, question: Question, allow: Sequence[str]) -> list[Mismatch]:
    """Return what is wrong between records that answer one question."""
    base, cand = pair.base[0], pair.cand[0]
    where = " · ".join((cand.model.name, cand.task.name, cand.protocol.name))
    found = []
    if base.task.truncated and "truncated" not in allow:
        count = str(base.task.truncated)
        found.append(Mismatch(where, "task.truncated (--allow truncated)", count, count))
    if base.task.metric != cand.task.metric:
        found.append(Mismatch(where, "task.metric", base.task.metric, cand.task.metric))
    if question == "code":
        parts = [
            flat({"model.weights_digest": record.model.weights_digest[:12], "model.arch": record.model.arch})
            for record in (base, cand)
        ]
        found += [
            Mismatch(where, f"{field} (--question method compares two networks)", *(short(p.get(field)) for p in parts))
            for field in differing(parts)
            if not _allowed(field, allow)
        ]
    return found


def surroundings(pairs: Iterable[Pair], question: Question = "code") -> list[str]:
    """Return, in words, how machine, packages and code differ between the two sides, and for one network how its input
    and features were resolved."""
    seen: set[str] = set()
    for pair in pairs:
        sides = [flat(_around(record, question)) for record in (pair.base[0], pair.cand[0])]
        for field in differing(sides):
            seen.add(f"{field}: {short(sides[0].get(field))} → {short(sides[1].get(field))}")
    return sorted(seen)


def _around(record: Record, question: Question) -> dict[str, Any]:
    around = {"environment": record.environment, "code": record.code}
    return around | {"features": record.features.resolved} if question == "code" else around
