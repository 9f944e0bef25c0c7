"""Per-sample predictions of two records, sample beside sample, and what a metric makes of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import metrics
from ssl_bench.errors import IncomparableError, UsageError
from ssl_bench.predictions import Classes, Clusters, Judgements, Multilabel, Predictions, Rankings, Shifted, Truth
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table

KEYS = ("episode", "set", "sample_id")
TOLERANCE = 1e-6
"""By which a record's value may differ from the one that its predictions give: scores are kept in 32 bits."""


def align(base: Table, cand: Table, where: str) -> tuple[Table, Table]:
    """Return both tables in base's order of samples; raise IncomparableError where samples or labels differ."""
    mine, theirs = _keys(base), _keys(cand)
    if mine != theirs:
        place = {key: index for index, key in enumerate(theirs)}
        lacking = [key for key in mine if key not in place]
        if lacking or len(mine) != len(theirs):
            more = len(place.keys() - set(mine))
            example = f", such as {_word(lacking[0])}" if lacking else ""
            raise IncomparableError(
                f"{where}: sample ids: {len(lacking)} only in base{example}; {more} only in the candidate"
            )
        order = np.array([place[key] for key in mine])
        cand = {name: _taken(values, order) for name, values in cand.items()}
    if "target" in base and not np.array_equal(base["target"], cand["target"]):
        wrong = int((np.asarray(base["target"]) != np.asarray(cand["target"])).reshape(len(mine), -1).any(axis=1).sum())
        raise IncomparableError(f"{where}: labels: {wrong} of {len(mine)} samples have another label in the candidate")
    return base, cand


def _keys(table: Table) -> list[Any]:
    """Return what names each row; a query that an episode asks twice is told apart by its turn."""
    names = [name for name in KEYS if name in table]
    if "sample_id" not in names:
        return list(range(len(next(iter(table.values()), ()))))
    if names == ["sample_id"]:
        ids = list(table["sample_id"])
        if len(set(ids)) == len(ids):
            return ids
    columns = [table[name].tolist() if hasattr(table[name], "tolist") else table[name] for name in names]
    turns: Counter[tuple[Any, ...]] = Counter()
    keys = []
    for key in zip(*columns, strict=True):
        keys.append((*key, turns[key]))
        turns[key] += 1
    return keys


def _word(key: Any) -> str:
    return repr(key[-2] if isinstance(key, tuple) else key)


def _taken(values: Any, order: NDArray[np.int64]) -> Any:
    return values[order] if isinstance(values, np.ndarray) else [values[index] for index in order.tolist()]


def paired(table: Table) -> bool:
    """Return whether rows have names, so that the samples of two tables can be told to be the same."""
    return "sample_id" in table


def units(record: Record, table: Table) -> NDArray[np.float64] | None:
    """Return what the headline metric makes of every unit (a sample, a query, an episode); their mean is its value.

    None where the metric is no mean over units, or the table says too little. Raises UsageError where the mean is not
    the record's own value.
    """
    metric = metrics.get(record.task.metric)
    if metric.name == "episode_accuracy":
        found = _per_episode(table)
    elif "hits" in table:
        found = _of_hits(metric.name, table["hits"])
    elif metric.outcomes is None or (said := rebuilt(record, table)) is None or not metric.applies(*said):
        return None
    else:
        found = np.asarray(metric.outcomes(*said), dtype=np.float64)
    if abs(found.mean() - record.headline.value) <= TOLERANCE:
        return found
    if metric.kind == "rankings":
        return None  # a ranking cut at some depth does not tell how much there was to find
    raise UsageError(
        f"record {record.record_id[:12]}: {metric.name} is {record.headline.value:.6f}, but its predictions give "
        f"{found.mean():.6f}; the record does not rest on them"
    )


def _per_episode(table: Table) -> NDArray[np.float64]:
    right = (table["pred"] == table["target"]).astype(np.float64)
    return np.bincount(table["episode"], right) / np.bincount(table["episode"])


def rebuilt(record: Record, table: Table) -> tuple[Predictions, Truth] | None:
    """Return the predictions and labels that a table of samples keeps; None where it keeps too little."""
    kind = metrics.get(record.task.metric).kind
    classes = record.task.classes
    if kind == "classes":
        return _classes(table, slice(None)), Truth({"test": table["target"]}, classes)
    if kind == "multilabel":
        return Multilabel(table["scores"]), Truth({"test": table["target"]}, classes)
    if kind == "clusters":
        return Clusters(table["cluster"]), Truth({"test": table["target"]}, classes)
    if kind == "shifts":
        return _shifted(table, classes)
    if kind == "rankings" and "hits_easy" in table:
        return _rankings(table, classes)
    return None


def _classes(table: Table, rows: Any) -> Classes:
    ranked = table["top5"][rows]
    scores = table["scores"][rows] if "scores" in table else None
    return Classes(ranked, table["confidence"][rows], scores=scores)


def _shifted(table: Table, classes: int) -> tuple[Shifted, Truth]:
    names = np.array(table["set"])
    rows = {str(name): names == name for name in dict.fromkeys(table["set"])}
    parts = {name: _classes(table, chosen) for name, chosen in rows.items()}
    labels = {name: table["target"][chosen] for name, chosen in rows.items()}
    return Shifted(parts.pop("test"), parts), Truth(labels, classes)


def _rankings(table: Table, classes: int) -> tuple[Rankings, Truth]:
    """Return rankings of a gallery in which an image's position is its place, query by query: which places hold images
    that were judged is kept, and nothing else of the gallery is needed."""
    names = ("hits_easy", "hits_hard", "junk")
    kinds = [[np.asarray(places, dtype=np.int64) for places in table[name]] for name in names]
    depth = 1 + max((int(places.max()) for kind in kinds for places in kind if len(places)), default=0)
    order = np.tile(np.arange(depth, dtype=np.int32), (len(kinds[0]), 1))
    labels = np.zeros(len(order), dtype=np.int64)
    return Rankings(order, "places"), Truth({"test": labels}, classes, judgements=Judgements(*map(tuple, kinds)))


def _of_hits(metric: str, hits: Sequence[Any]) -> NDArray[np.float64]:
    """Return average precision or Recall@k of every query that found anything, from the places of its class."""
    places = [np.asarray(some) for some in hits if len(some)]
    if metric == "map":
        return np.array([float((np.arange(1, len(some) + 1) / (some + 1)).mean()) for some in places])
    depth = int(metric.rpartition("_")[2])
    return np.array([float(some.min() < depth) for some in places])


def predicted(table: Table) -> NDArray[Any] | None:
    """Return one answer per sample, where there is one to be flipped."""
    for name in ("pred", "cluster"):
        if name in table:
            return np.asarray(table[name])
    return None


def names_of(table: Table) -> Sequence[str]:
    """Return a name per row, for readers."""
    if "set" in table:
        return [f"{group}: {name}" for group, name in zip(table["set"], table["sample_id"], strict=True)]
    return [str(name) for name in table["sample_id"]]
