"""Which records a board is made of: one per job, of the suite and the protocols and questions that were asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ssl_bench import cards as card_files
from ssl_bench.errors import UsageError
from ssl_bench.leaderboard.entries import Division, Entry
from ssl_bench.results.record import Record
from ssl_bench.tasks import SuiteCard


def unique(records: Iterable[Record]) -> list[Record]:
    """Return one record per job, the oldest, in an order that does not depend on the order given."""
    given = list(records)
    found = {record.record_id: record for record in given}
    if len(found) < len(given):
        newest_first = sorted(given, key=lambda record: (record.created, record.content_digest), reverse=True)
        found = {record.record_id: record for record in newest_first}
    return sorted(found.values(), key=lambda record: (record.model.name, record.record_id))


def without_truncated(records: list[Record], left_out: list[tuple[str, str]]) -> list[Record]:
    """Return the records of whole tasks, and say of each other why it is left out."""
    for record in records:
        if record.task.truncated:
            job = f"{record.model.name} · {record.task.name} · {record.protocol.name} · {record.record_id[:12]}"
            left_out.append((job, f"truncated to {record.task.truncated} samples per split"))
    return [record for record in records if not record.task.truncated]


def of_division(
    records: list[Record], entries: Mapping[str, Entry], division: Division, left_out: list[tuple[str, str]]
) -> list[Record]:
    """Return the records of one division, and say whose others there are; what has no entry is closed."""
    others: dict[str, int] = defaultdict(int)
    inside = []
    for record in records:
        entry = entries.get(record.model.name)
        if (entry.division if entry else "closed") == division:
            inside.append(record)
        elif entry:
            others[f"{record.model.name} ({entry.division} division)"] += 1
    for what, count in sorted(others.items()):
        left_out.append((what, f"{count} record{'s' * (count > 1)} of another division than this board's"))
    return inside


def chosen(records: list[Record], protocols: Sequence[str], questions: Sequence[str]) -> list[Record]:
    """Return the records that the caller's words choose; raise UsageError for a word that chooses none."""
    for kind, words, matches in (("protocol", protocols, _is_protocol), ("question", questions, _is_question)):
        if not words or not records:
            continue
        for word in words:
            if not any(matches(record, word) for record in records):
                known = sorted({record.protocol.name for record in records})
                raise UsageError(f"no record answers the {kind} {word!r}; there are records of {', '.join(known)}")
        records = [record for record in records if any(matches(record, word) for word in words)]
    return records


def _is_question(record: Record, prefix: str) -> bool:
    return bool(prefix) and record.question.startswith(prefix.lower())


def _is_protocol(record: Record, word: str) -> bool:
    name, options = card_files.parse_reference(word)
    stated = {"version": record.protocol.version} | dict(record.protocol.recipe)
    return record.protocol.name == name and all(
        key in stated and _same(stated[key], value) for key, value in options.items()
    )


def _same(value: Any, word: str) -> bool:
    """Return whether a recipe's value is what a word of the command line says; lists are written "10+20"."""
    try:
        told = [json.loads(part) for part in word.split("+")]
    except json.JSONDecodeError:
        return str(value) == word
    return bool(value == (told if isinstance(value, list) else told[0]))


def suite_of(records: list[Record]) -> SuiteCard:
    """Return a nameless suite of every task and protocol in the records."""
    names = sorted({record.task.name for record in records})
    protocols = sorted({record.protocol.name for record in records})
    return SuiteCard("", "All tasks", {"Tasks": tuple(names)}, tuple(protocols))


def protocol_order(suite: SuiteCard, records: list[Record], asked: bool) -> list[str]:
    """Return the protocols to show: the suite's in its order, then any that was asked for by name."""
    found = sorted({record.protocol.name for record in records})
    return list(dict.fromkeys([*(name for name in suite.all_protocols if name in found), *(found if asked else [])]))


def of_the_suite(
    records: list[Record], suite: SuiteCard, protocols: list[str], left_out: list[tuple[str, str]]
) -> list[Record]:
    """Return the suite's records, and say of the others how many they are."""
    others: dict[str, int] = defaultdict(int)
    inside = []
    known = set(suite.tasks)
    names = {record.protocol.name for record in records}
    asked = {name: {task for tasks in suite.asks(name).values() for task in tasks} for name in names}
    for record in records:
        if record.task.name not in known:
            others[f"task {record.task.name}"] += 1
        elif record.task.name not in asked[record.protocol.name]:
            others[f"{record.task.name} × {record.protocol.name}"] += 1
        elif record.protocol.name not in protocols:
            others[f"protocol {record.protocol.name}"] += 1
        else:
            inside.append(record)
    for what, count in sorted(others.items()):
        left_out.append((what, f"{count} record{'s' * (count > 1)} outside this board's suite"))
    return inside
