"""Scores of rankings: whether, and how early, a query finds the images of its class.

    map           mean over queries of (1 / min(R, ranked)) Σ_j (j + 1) / (p_j + 1), where p_0 < p_1 < … are the places,
                  from 0, of the R images of the query's class in its ranking
    recall_at_k   fraction of queries with at least one image of their class among the first k

A query with no other image of its class in the gallery has nothing to find and does not count.

The revisited Oxford and Paris benchmarks (Radenović et al., CVPR 2018) judge by hand which images are easy, hard or
junk, take junk out of a ranking, and add up trapezoids under the precision-recall curve; see `revisited_map`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Rankings, Truth

SETUPS = {"easy": ("easy", "junk hard"), "medium": ("easy hard", "junk"), "hard": ("hard", "junk easy")}
"""Setup of the revisited benchmarks: what is to be found, and what is taken out of a ranking."""


def average_precision(predictions: Rankings, truth: Truth) -> NDArray[np.float64]:
    """Return the average precision of every query that has something to find."""
    wanted = _wanted(predictions, truth)
    ranked = predictions.order.shape[1]
    values = [
        float((np.arange(1, len(places) + 1) / (places + 1)).sum() / min(count, ranked))
        for places, count in zip(predictions.hits(truth), wanted.tolist(), strict=True)
        if count
    ]
    return np.array(values)


def recall(predictions: Rankings, truth: Truth, k: int) -> NDArray[np.bool_]:
    """Return whether an image of its class is among the first k, for every query that has something to find."""
    classes = truth.labels[predictions.gallery][predictions.order[:, :k]]
    found: NDArray[np.bool_] = (classes == truth.targets[:, None]).any(axis=1)
    return found[_wanted(predictions, truth) > 0]


def _wanted(predictions: Rankings, truth: Truth) -> NDArray[np.int64]:
    """Return how many images of its class each query's gallery holds; raise DataError where no query has one."""
    counts = np.bincount(truth.labels[predictions.gallery], minlength=truth.classes)
    wanted: NDArray[np.int64] = counts[truth.targets] - (predictions.gallery == "test")
    if not wanted.any():
        raise DataError(f"no test image has another of its class in {predictions.gallery}, so there is nothing to find")
    return wanted


def revisited_map(
    order: NDArray[Any],
    easy: Sequence[Sequence[int]],
    hard: Sequence[Sequence[int]],
    junk: Sequence[Sequence[int]],
    setup: Literal["easy", "medium", "hard"],
) -> float:
    """Return the mean average precision of rankings (queries, gallery) as the revisited benchmarks count it.

    `easy`, `hard` and `junk` are positions in the gallery, a list per query. Places p_0 < p_1 < … are counted without
    junk, and R images are to be found: AP = (1 / R) Σ_j ½ (j / p_j + (j + 1) / (p_j + 1)), with 1 for j / p_j where
    p_j is 0. Queries with R = 0 do not count. The same as compute_map of filipradenovic/revisitop python/evaluate.py.
    Raises DataError where no query has anything to find.
    """
    if setup not in SETUPS:
        raise UsageError(f"no setup is called {setup!r}. Known: {', '.join(SETUPS)}")
    return float(np.mean(_revisited(order, {"easy": easy, "hard": hard, "junk": junk}, setup)))


def judged_precision(predictions: Rankings, truth: Truth, setup: str) -> NDArray[np.float64]:
    """Return the average precision of every query with an image to find; see `revisited_map`."""
    assert truth.judgements is not None
    return _revisited(predictions.order, vars(truth.judgements), setup)


def _revisited(order: NDArray[Any], lists: Mapping[str, Sequence[Any]], setup: str) -> NDArray[np.float64]:
    found, removed = ([lists[name] for name in names.split()] for names in SETUPS[setup])
    values = []
    for query, ranking in enumerate(order):
        wanted = np.unique(np.concatenate([np.asarray(part[query], dtype=np.int64) for part in found]))
        out = np.concatenate([np.asarray(part[query], dtype=np.int64) for part in removed])
        if len(wanted):
            places = np.flatnonzero(np.isin(ranking[~np.isin(ranking, out)], wanted))
            values.append(_trapezoids(places) / len(wanted))
    if not values:
        raise DataError(f"no query has an image to find in the setup {setup!r}")
    return np.array(values)


def _trapezoids(places: NDArray[np.int64]) -> float:
    """Return Σ_j ½ (precision before hit j + precision with it)."""
    count = np.arange(len(places))
    before = np.where(places == 0, 1.0, count / np.maximum(places, 1))
    return float((before + (count + 1) / (places + 1)).sum() / 2)


def _judged(predictions: Rankings, truth: Truth) -> bool:
    return truth.judgements is not None


def _of_classes(predictions: Rankings, truth: Truth) -> bool:
    return truth.judgements is None


def _metric(name: str, outcomes: Any, interval: Literal["wilson", "normal"], applies: Any) -> Metric:
    return Metric(name, "rankings", lambda classes: None, outcomes=outcomes, interval=interval, applies=applies)


METRICS = (
    _metric("map", average_precision, "normal", _of_classes),
    *(_metric(f"recall_at_{k}", functools.partial(recall, k=k), "wilson", _of_classes) for k in (1, 5, 10)),
    *(_metric(f"map_{setup}", functools.partial(judged_precision, setup=setup), "normal", _judged) for setup in SETUPS),
)
