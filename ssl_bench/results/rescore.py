"""A record's numbers, computed once more from its per-sample predictions.

What they do not hold cannot be computed again: further readings of a trial ("k=200/top1"), rankings that were
cut, spectra, and the errors of the reference network behind `mce`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.files import digest_json, write_text
from ssl_bench.metrics.rankings import SETUPS
from ssl_bench.predictions import (
    Classes,
    Clusters,
    Judgements,
    Multilabel,
    Predictions,
    Quantities,
    Rankings,
    Shifted,
    Truth,
)
from ssl_bench.results.invariants import ContradictionError, kind_of
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table

TOLERANCE = 1e-6
"""Relative to the value, or to 1 where it is smaller: sums may be taken in another order."""
JUDGED = ("hits_easy", "hits_hard", "junk")
"""Columns of judged rankings, in the order of `Judgements`."""
FOREIGN = (ArithmeticError, AssertionError, AttributeError, DataError, IndexError, KeyError, TypeError, ValueError)
"""What metrics raise for columns of other types, lengths or ranges than predictions have."""
Score = tuple[float, int]
"""A metric's value, and how many units are behind it."""


def check(record: Record, table: Table) -> None:
    """Raise ContradictionError, naming the field, where a record says other than its per-sample predictions do."""
    if tuple(table) != record.samples.columns:
        raise ContradictionError(f"samples.columns: the predictions have the columns {', '.join(table)}")
    rows = len(next(iter(table.values()), ()))
    if rows != record.samples.n:
        raise ContradictionError(f"samples.n is {record.samples.n}, but there are {rows} predictions")
    try:
        _check_ids(record, table)
        scores = rescored(record, table)
    except FOREIGN as error:
        raise ContradictionError(f"samples: the predictions are not what their columns tell: {error!r:.200}") from error
    for name, (value, n) in scores.items():
        said = record.metrics[name]
        if abs(said.value - value) > TOLERANCE * max(1.0, abs(value)):
            raise ContradictionError(f"metrics.{name}: {said.value} is stated, but the predictions give {value}")
        if said.n != n:
            raise ContradictionError(f"metrics.{name}: n is {said.n}, but the predictions give {n}")


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
    if said and ids is not None and "episode" not in table:
        sets = table.get("set", ["test"] * len(ids))
        if digest_json([one for one, name in zip(ids, sets, strict=True) if name == "test"]) != said:
            raise ContradictionError("task.ids: the predictions are of other samples than those of the test split")


def rescored(record: Record, table: Table) -> dict[str, Score]:
    """Return those of the record's metrics that its predictions hold."""
    kind = kind_of(tuple(table))
    if kind == "episodes":
        found = _episodes(table)
    elif kind == "shifts":
        found = _shifts(record, table)
    elif "hits_easy" in table:
        found = _judged(table)
    elif kind == "rankings":
        found = _hits(table) if _whole_gallery(record) else {}
    else:
        found = _scores(record, table, kind)
    return {name: score for name, score in found.items() if name in record.metrics}


def _scores(record: Record, table: Table, kind: str) -> dict[str, Score]:
    """Score predictions that can be put together again, one for every test sample."""
    classes = record.task.classes
    if kind == "clusters":
        said: Predictions = Clusters(_labels(table["cluster"]))
    elif kind == "classes":
        said = _classes(table, "ece" in record.metrics)
    elif kind == "multilabel":
        said = Multilabel(table["scores"])
    else:
        said = Quantities({}, table)
    targets = table.get("target", np.zeros(len(next(iter(table.values()), ())), dtype=np.int64))
    truth = Truth({"test": targets if targets.ndim == 2 else _labels(targets, classes)}, classes)
    known = [metric for metric in metrics.of_kind(said.kind) if metric.name in record.metrics]
    return {metric.name: metric.score(said, truth)[:2] for metric in known if metric.applies(said, truth)}


def _classes(table: Table, probability: bool = False) -> Classes:
    if not np.array_equal(table["pred"], table["top5"][:, 0]):
        raise ValueError("pred is not the first of top5")
    return Classes(table["top5"], table["confidence"], probability, table.get("scores"))


def _labels(column: Any, classes: int = 0) -> NDArray[np.int64]:
    """Return a column of labels; raise ValueError for what is none."""
    labels: NDArray[np.int64] = np.asarray(column)
    if labels.dtype != np.int64 or labels.ndim != 1:
        raise ValueError("labels must be whole numbers")
    if classes and not (labels.min(initial=0) >= 0 and labels.max(initial=0) < classes):
        raise ValueError(f"labels must lie between 0 and {classes - 1}")
    return labels


def _shifts(record: Record, table: Table) -> dict[str, Score]:
    """Score every shifted set alone, and their mean."""
    names, parts = np.asarray(table["set"]), {}
    for name in dict.fromkeys(table["set"]):
        rows = np.flatnonzero(names == name)
        parts[name] = {key: table[key][rows] for key in ("target", "pred", "top5", "confidence")}
    labels = {name: _labels(part["target"], record.task.classes) for name, part in parts.items()}
    said = {name: _classes(part) for name, part in parts.items()}
    truth = Truth(labels, record.task.classes)
    whole = Shifted(said.pop("test"), said)
    alone = {"test": whole.clean, **said}
    scores = {f"{name}/top1": metrics.get("top1").score(part, truth.of(name))[:2] for name, part in alone.items()}
    return scores | {"shift_top1": metrics.get("shift_top1").score(whole, truth)[:2]}


def _episodes(table: Table) -> dict[str, Score]:
    """Mean over episodes of the share of their queries that were given their way."""
    _, episode = np.unique(table["episode"], return_inverse=True)
    shares = np.bincount(episode, table["pred"] == table["target"]) / np.bincount(episode)
    return {"episode_accuracy": (float(shares.mean()), len(shares))}


def _whole_gallery(record: Record) -> bool:
    """Return whether every image of a query's class is among its hits, so that they can be counted."""
    selected: Mapping[str, Any] = record.protocol.selected
    return "ranked" in selected and selected["ranked"] == selected.get("gallery")


def _hits(table: Table) -> dict[str, Score]:
    """Score rankings of the whole gallery by the places, from 0, of what was to be found."""
    found = [np.sort(np.asarray(places)) for places in table["hits"] if len(places)]
    precision = [float((np.arange(1, len(places) + 1) / (places + 1)).mean()) for places in found]
    scores = {"map": (float(np.mean(precision)), len(found))}
    for k in (1, 5, 10):
        scores[f"recall_at_{k}"] = float(np.mean([places[0] < k for places in found])), len(found)
    return scores


def _judged(table: Table) -> dict[str, Score]:
    """Score judged rankings by the places, from 0, of everything that was judged."""
    places = {name: tuple(np.asarray(row, dtype=np.int64) for row in table[name]) for name in JUDGED}
    deepest = max(int(row.max(initial=0)) for rows in places.values() for row in rows)
    order = np.broadcast_to(np.arange(deepest + 1, dtype=np.int32), (len(table["junk"]), deepest + 1))
    truth = Truth({"test": np.zeros(len(order), dtype=np.int64)}, 0, judgements=Judgements(*places.values()))
    names = (f"map_{setup}" for setup in SETUPS)
    return {name: metrics.get(name).score(Rankings(order, "train"), truth)[:2] for name in names}
