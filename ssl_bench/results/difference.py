"""What two sets of records have in common, and what not: job by job."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from ssl_bench import cards
from ssl_bench.files import canonical_json
from ssl_bench.results.layout import place
from ssl_bench.results.record import Record


@dataclasses.dataclass(frozen=True)
class Difference:
    """One job that the two sides do not have alike."""

    what: Literal["only in A", "only in B", "other numbers", "other cause"]
    """"other cause": the same names and seed on both sides, but not the same identity; `fields` says what differs."""
    model: str
    task: str
    protocol: str
    seed: int
    record_a: str
    record_b: str
    fields: tuple[tuple[str, Any, Any], ...]
    """(metric or part of the identity, in A, in B) of what differs."""


def differences(a: Iterable[Record], b: Iterable[Record]) -> list[Difference]:
    """Return what differs between two lists of standing records, by model, task, protocol and seed."""
    left, right = ({record.record_id: record for record in side} for side in (a, b))
    found = [
        _difference("other numbers", one, right[key], _numbers(one, right[key]))
        for key, one in left.items()
        if key in right and not one.agrees(right[key])
    ]
    only_left = [record for key, record in left.items() if key not in right]
    only_right = [record for key, record in right.items() if key not in left]
    found += _by_name(only_left, only_right)
    return sorted(
        found, key=lambda one: (one.model, one.task, one.protocol, one.seed, one.what, one.record_a, one.record_b)
    )


def _by_name(left: list[Record], right: list[Record]) -> Iterator[Difference]:
    """Give the jobs whose identity is on one side only, paired by name where the names stand for one job on each."""
    by_name: dict[tuple[Any, ...], tuple[list[Record], list[Record]]] = defaultdict(lambda: ([], []))
    for side, records in enumerate((left, right)):
        for record in records:
            by_name[place(record)[:4]][side].append(record)
    for ones, others in by_name.values():
        if len(ones) == len(others) == 1:
            yield _difference("other cause", ones[0], others[0], _causes(ones[0], others[0]))
            continue
        for record in ones:
            yield _difference("only in A", record, None, ())
        for record in others:
            yield _difference("only in B", None, record, ())


def _difference(what: Any, a: Record | None, b: Record | None, fields: Iterable[tuple[str, Any, Any]]) -> Difference:
    named = a or b
    assert named
    return Difference(
        what,
        named.model.name,
        named.task.name,
        named.protocol.name,
        named.seed,
        a.record_id if a else "",
        b.record_id if b else "",
        tuple(fields),
    )


def _numbers(a: Record, b: Record) -> Iterator[tuple[str, float, float]]:
    for name in sorted(a.metrics.keys() & b.metrics.keys()):
        if (a.metrics[name].value, a.metrics[name].n) != (b.metrics[name].value, b.metrics[name].n):
            yield name, a.metrics[name].value, b.metrics[name].value


def _causes(a: Record, b: Record) -> Iterator[tuple[str, Any, Any]]:
    """Give the parts of two identities that differ, by readable names."""
    one, other = (dict(_flat(_cause(record))) for record in (a, b))
    for key in sorted(one.keys() | other.keys()):
        if canonical_json(one.get(key)) != canonical_json(other.get(key)):
            yield key, one.get(key), other.get(key)


def _cause(record: Record) -> dict[str, Any]:
    return {
        "arch": cards.plain(record.model.arch),
        "features": cards.plain(record.features),
        "protocol": {"version": record.protocol.version, "recipe": cards.plain(record.protocol.recipe)},
        "task digest": record.task.digest[:12],
        "truncated": record.task.truncated,
        "weights": record.model.weights_digest[:12],
    }


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give the leaves of nested mappings with dotted names."""
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
