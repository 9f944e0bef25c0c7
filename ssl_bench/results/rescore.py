"""A record's numbers, computed once more from its per-sample predictions.

Further readings of a trial ("k=200/top1"), spectra and rankings that were cut cannot be computed again; see `predicted`
for what else predictions do not hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench import metrics
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.files import digest_json, write_text
from ssl_bench.metrics.base import Bounds
from ssl_bench.metrics.masks import per_class_iou
from ssl_bench.predictions import Overlaps, Shifted, Truth
from ssl_bench.results import predicted
from ssl_bench.results.invariants import ContradictionError
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOREIGN = (ArithmeticError, AssertionError, AttributeError, DataError, IndexError, KeyError, TypeError, ValueError)
"""What metrics raise for columns of other types, lengths or ranges than predictions have."""
Score = tuple[float, int]
"""A metric's value, and how many units are behind it."""


def check(record: Record, table: Table) -> None:
    """Raise ContradictionError, naming the field, where a record says other than its per-sample predictions do."""
    for contradiction in contradictions(record, table):
        raise ContradictionError(contradiction)


def contradictions(record: Record, table: Table) -> Iterator[str]:
    """Give, each with its field, what a record says other than its per-sample predictions do."""
    if tuple(table) != record.samples.columns:
        yield f"samples.columns: the predictions have the columns {', '.join(table)}"
        return
    rows = len(next(iter(table.values()), ()))
    if rows != record.samples.n:
        yield f"samples.n is {record.samples.n}, but there are {rows} predictions"
        return
    try:
        _check_ids(record, table)
        scores = rescored(record, table)
        bounds = _bounds(record, table)
    except ContradictionError as error:
        yield str(error)
        return
    except FOREIGN as error:
        yield f"samples: the predictions are not what their columns tell: {error!r:.200}"
        return
    for name, (value, n) in scores.items():
        said = record.metrics[name]
        if abs(said.value - value) > predicted.TOLERANCE * max(1.0, abs(value)):
            yield f"metrics.{name}: {said.value} is stated, but the predictions give {value}"
        elif said.n != n:
            yield f"metrics.{name}: n is {said.n}, but the predictions give {n}"
    for name, (low, high, method) in bounds.items():
        stated = record.metrics[name].interval
        if stated is None or (stated.method, stated.level) != (method, 0.95):
            continue
        if max(abs(stated.low - low), abs(stated.high - high)) > predicted.TOLERANCE * max(1.0, abs(low), abs(high)):
            theirs = f"[{stated.low}, {stated.high}]"
            yield f"metrics.{name}: {theirs} is stated as its interval, but the predictions give [{low}, {high}]"


def belied(records: Iterable[Record], verify: Callable[[Record], Any], memory: Path) -> dict[str, str]:
    """Return the content digests of the records that `verify` refuses, with its reasons, which name no folder above
    `samples`.

    A record that was found true is not read again: `memory` is a file of content digests, which may be deleted.
    """
    known = set(memory.read_text(encoding="ascii", errors="replace").split()) if memory.is_file() else set()
    found, true = {}, []
    for record in records:
        if record.content_digest not in known:
            try:
                verify(record)
                true.append(record.content_digest)
            except MissingError:
                continue
            except UsageError as error:
                found[record.content_digest] = re.sub(r"\S*(?=samples/)", "", str(error))
    if true:
        write_text(memory, "".join(f"{digest}\n" for digest in sorted({*known, *true})))
    return found


def _check_ids(record: Record, table: Table) -> None:
    """Raise ContradictionError where the predictions are of other samples than test has, or in another order."""
    ids, said = table.get("sample_id"), (record.task.ids or {}).get("test")
    if (
        said and ids is not None and not {"episode", "landmark_error", "region"} & set(table)
    ):  # rows of these are no samples
        sets = table.get("set", ["test"] * len(ids))
        if digest_json([one for one, name in zip(ids, sets, strict=True) if name == "test"]) != said:
            raise ContradictionError("task.ids: the predictions are of other samples than those of the test split")


def rescored(record: Record, table: Table) -> dict[str, Score]:
    """Return those of the record's metrics that its predictions hold."""
    found: dict[str, Score] = {}
    if "episode" in table:
        found = {"episode_accuracy": _mean(predicted.of_episodes(table))}
    elif "hits" in table and _whole_gallery(record):
        names = ("map", *(f"recall_at_{k}" for k in (1, 5, 10)))
        found = {name: _mean(predicted.of_hits(name, table["hits"])) for name in names}
    elif (rebuilt := predicted.rebuilt(record, table)) is not None:
        said, truth = rebuilt
        known = [metric for metric in metrics.of_kind(said.kind) if metric.name in record.metrics]
        found = {metric.name: metric.score(said, truth)[:2] for metric in known if metric.applies(said, truth)}
        if isinstance(said, Shifted):
            found |= _sets(said, truth)
        if isinstance(said, Overlaps):
            names = record.task.labels.names if record.task.labels else ()
            found |= {name: (value, said.asked) for name, value in per_class_iou(said, names).items()}
    return {name: score for name, score in found.items() if name in record.metrics}


def _bounds(record: Record, table: Table) -> dict[str, Bounds]:
    """Return the intervals of those of the record's metrics that its predictions hold, where they have one."""
    if "episode" in table or "hits" in table or (rebuilt := predicted.rebuilt(record, table)) is None:
        return {}
    said, truth = rebuilt
    known = [metric for metric in metrics.of_kind(said.kind) if metric.name in record.metrics]
    known = [metric for metric in known if metric.interval or metric.weighted]
    found = {metric.name: metric.score(said, truth)[2] for metric in known if metric.applies(said, truth)}
    return {name: bounds for name, bounds in found.items() if bounds}


def _mean(units: NDArray[np.float64]) -> Score:
    return float(units.mean()), len(units)


def _sets(said: Shifted, truth: Truth) -> dict[str, Score]:
    """Score every shifted set, and the clean one, alone."""
    names = ("top1", *(["ece"] if said.clean.probability else []))
    return {
        f"{part}/{name}": metrics.get(name).score(classes, truth.of(part))[:2]
        for part, classes in {"test": said.clean, **said.sets}.items()
        for name in names
    }


def _whole_gallery(record: Record) -> bool:
    """Return whether every image of a query's class is among its hits, so that they can be counted."""
    selected: Mapping[str, Any] = record.protocol.selected
    return "ranked" in selected and selected["ranked"] == selected.get("gallery")
