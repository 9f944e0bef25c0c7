"""What the index keeps of a record: the values of its columns, and what builds the record again.

The checking of many new files is shared among processes; each is this module, run as a program.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import queue
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from ssl_bench import cards
from ssl_bench.errors import SslBenchError
from ssl_bench.files import canonical_json
from ssl_bench.results import rebuild
from ssl_bench.results.blocks import joined
from ssl_bench.results.index_schema import METRICS, RECORDS
from ssl_bench.results.reading import read_entry, reason_of
from ssl_bench.results.record import MetricDefinition, MetricValue, Record
from ssl_bench.results.verifications import Verification
from ssl_bench.results.withdrawals import Withdrawal

OWN = frozenset({"metrics", "samples", "timing"})
"""Blocks that no two records share; the others are kept once each."""

Row = tuple[Any, ...]
"""("record", columns, metrics, blocks, rest, text as another version wrote it), ("withdrawal", its fields),
("verification", its fields with its text) or ("skipped", reason); plain values only."""

CHUNK = 256
"""Lines that a process checks at a time."""
WORTH_A_PROCESS = 1000
"""Lines below which starting another process costs more than it saves."""


def row(content: bytes, where: str) -> Row:
    """Return what the index keeps of a loose file's content or a packed line, read and checked in full."""
    try:
        entry = read_entry(content, where)
    except SslBenchError as error:
        return "skipped", reason_of(error, where)
    if isinstance(entry, Withdrawal):
        return "withdrawal", cards.plain(entry)
    if isinstance(entry, Verification):
        return "verification", cards.plain(entry) | {"content_digest": entry.content_digest, "text": entry.to_text()}
    texts = entry.texts()
    blocks = {name: text for name, text in texts if text.startswith("{") and name not in OWN}
    rest = joined((name, text) for name, text in texts if name not in blocks)
    return "record", _columns(entry), _metrics(entry), blocks, rest, rebuild.written(entry)


def _columns(record: Record) -> tuple[Any, ...]:
    task, protocol, model = record.task, record.protocol, record.model
    headline, definition = record.headline, record.definition(task.metric)
    values = {
        "record_id": record.record_id,
        "content_digest": record.content_digest,
        "status": "standing",
        "drift": 0,
        "reason": "",
        "model": model.name,
        "adapter": model.adapter,
        "parameters": model.parameters,
        "embed_dim": model.embed_dim,
        "weights_digest": model.weights_digest,
        "task": task.name,
        "kind": task.kind,
        "classes": task.classes,
        "task_digest": task.digest,
        "protocol": protocol.name,
        "version": protocol.version,
        "recipe": canonical_json(cards.plain(protocol.recipe)),
        "selected": canonical_json(cards.plain(protocol.selected)),
        "pooled": _word(record.features.requested.get("pooled")),
        "precision": _word(record.features.resolved.get("precision")),
        "seed": record.seed,
        "question": record.question,
        "truncated": task.truncated,
        "metric": task.metric,
        "created": record.created,
        "release": _word(record.code.get("version")),
        "git_commit": _word(record.code.get("commit")),
        "device": _word(record.environment.get("device")),
        "extract_seconds": record.timing.get("extract_seconds"),
        "protocol_seconds": record.timing.get("protocol_seconds"),
        "samples": record.samples.sha256,
        "chance": definition.chance,
    } | _value(headline, definition)
    return tuple(values[name] for name, _, _ in RECORDS)


def _metrics(record: Record) -> list[tuple[Any, ...]]:
    rows = []
    for name, metric in sorted(record.metrics.items()):
        values = _value(metric, record.definition(name)) | {"content_digest": record.content_digest, "name": name}
        rows.append(tuple(values[column] for column, _, _ in METRICS))
    return rows


def _value(metric: MetricValue, definition: MetricDefinition) -> dict[str, Any]:
    return {
        "unit": definition.unit,
        "higher_is_better": int(definition.higher_is_better),
        "value": metric.value,
        "low": metric.interval.low if metric.interval else None,
        "high": metric.interval.high if metric.interval else None,
        "n": metric.n,
    }


def _word(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else canonical_json(value)


def rows(items: Sequence[tuple[bytes, str]]) -> Iterator[Row]:
    """Give `row` of every (content, where), in order; many are shared among as many processes as there are cores."""
    workers = min(_cores(), len(items) // WORTH_A_PROCESS)
    if workers < 2:
        yield from (row(*item) for item in items)
        return
    chunks = [items[start : start + CHUNK] for start in range(0, len(items), CHUNK)]
    with contextlib.ExitStack() as stack:
        free: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()
        for _ in range(workers):
            free.put(stack.enter_context(_start()))

        def ask(chunk: Sequence[tuple[bytes, str]]) -> list[Row]:
            worker = free.get()
            try:
                return _ask(worker, chunk)
            finally:
                free.put(worker)

        threads = stack.enter_context(ThreadPoolExecutor(workers))
        for found in threads.map(ask, chunks):
            yield from found


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _start() -> subprocess.Popen[bytes]:
    """Start a process that checks what it is sent. Unlike a pool's, it never runs the caller's own script again."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from ssl_bench.results import index_rows; index_rows.serve()"
    return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _ask(worker: subprocess.Popen[bytes], chunk: Sequence[tuple[bytes, str]]) -> list[Row]:
    """Return the rows of a chunk; where the process was killed, they are made here."""
    assert worker.stdin
    assert worker.stdout
    try:
        marshal.dump(list(chunk), worker.stdin)
        worker.stdin.flush()
        return cast(list[Row], marshal.load(worker.stdout))
    except (OSError, EOFError):
        return [row(*item) for item in chunk]


def serve() -> None:
    """Answer chunks from stdin on stdout until stdin ends."""
    while True:
        try:
            chunk: Iterable[tuple[bytes, str]] = marshal.load(sys.stdin.buffer)
        except EOFError:
            return
        marshal.dump([row(*item) for item in chunk], sys.stdout.buffer)
        sys.stdout.buffer.flush()
