"""Scores of found objects: average precision and recall as COCO, LVIS and PASCAL VOC take them.

From the highest score down, precision is the share of true ones among what was found so far, recall the share of the
true ones that were found; what counts neither way is left out. Precision at a recall is the highest at that recall or
more. Per class and threshold of overlap, average precision is its mean

    COCO, LVIS   over the recalls 0, 0.01, … 1 (cocoeval.py, accumulate)
    VOC 2007     over the recalls 0, 0.1, … 1
    VOC 2010 on  over all recalls, the area under the steps (VOCdevkit VOCap.m)

and the score is the mean over classes that have an object to be found, and over thresholds where the name gives none.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ssl_bench import matching
from ssl_bench.matching import AREAS, THRESHOLDS, WAYS
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Matches, Truth

Floats = NDArray[np.float64]
Area = Callable[[Floats, Floats], float]
"""(precision, recall) from the highest score down to the average precision of one class and threshold."""
HUNDREDTHS = np.linspace(0.0, 1.0, 101)
AT = {"": slice(None), "50": slice(0, 1), "75": slice(5, 6)}
"""End of a metric's name to the thresholds over which it is a mean."""


def average_precision(predictions: Matches, truth: Truth, way: int, area: Area, at: slice) -> float:
    """Return the mean average precision over classes and the thresholds `at`; see above."""
    areas = [
        area(precision[i], recall[i])
        for precision, recall in curves(predictions, way)
        for i in range(len(THRESHOLDS))[at]
    ]
    return float(np.mean(areas))


def average_recall(predictions: Matches, truth: Truth, way: int, most: int) -> float:
    """Return the mean over classes and thresholds of the recall that the first `most` of each class and image reach."""
    reached = [
        recall[:, -1] if recall.shape[1] else np.zeros(len(recall)) for _, recall in curves(predictions, way, most)
    ]
    return float(np.mean(reached))


def curves(predictions: Matches, way: int, most: int = matching.MOST_FEDERATED) -> Iterator[tuple[Floats, Floats]]:
    """Give precision and recall, (thresholds, found) each, of every class that has an object to be found; `most` of
    each image are looked at."""
    every = predictions.whole
    to_find = np.bincount(every.true_label[every.true_unused[:, way] == 0])
    for label in np.flatnonzero(to_find):
        rows = np.flatnonzero((every.found_label == label) & (predictions.places < most))
        rows = rows[np.argsort(-every.found_score[rows], kind="stable")]
        right = matching.unpacked(every.found_right[rows, way])
        wrong = ~right & ~matching.unpacked(every.found_unused[rows, way])
        rights, wrongs = (np.cumsum(flags, axis=0, dtype=np.float64).T for flags in (right, wrong))
        yield rights / (rights + wrongs + np.spacing(1)), rights / to_find[label]


def at_hundredths(precision: Floats, recall: Floats) -> float:
    """Return the mean over 101 recalls of the best precision at a recall of as much or more."""
    return float(_reached(precision, recall, HUNDREDTHS).mean())


def at_tenths(precision: Floats, recall: Floats) -> float:
    """Return the mean over 11 recalls of the best precision at a recall of as much or more."""
    return float(_reached(precision, recall, np.arange(11) / 10 - 1e-12).mean())  # a recall of 0.3 counts for 0.3


def under_steps(precision: Floats, recall: Floats) -> float:
    """Return the area under the steps of the best precision at a recall of as much or more."""
    return float((_best(precision) * np.diff(recall, prepend=0.0)).sum())


def _best(precision: Floats) -> Floats:
    best: Floats = np.maximum.accumulate(precision[::-1])[::-1]
    return best


def _reached(precision: Floats, recall: Floats, wanted: Floats) -> Floats:
    best = np.append(_best(precision), 0.0)  # of a recall that is not reached
    reached: Floats = best[np.searchsorted(recall, wanted, side="left")]
    return reached


def _to_be_found(predictions: Matches, truth: Truth, way: int) -> bool:
    """Tell whether this way of counting was gone, and has an object to be found."""
    unused = predictions.whole.true_unused
    return way < unused.shape[1] and bool((unused[:, way] == 0).any())


def _metric(name: str, way: int, number: Callable[[Matches, Truth], float]) -> Metric:
    applies = functools.partial(_to_be_found, way=way)
    return Metric(name, "detections", lambda classes: None, number=number, applies=applies)


def _precision(name: str, way: int, area: Area, at: str = "") -> Metric:
    number = functools.partial(average_precision, way=way, area=area, at=AT[at])
    return _metric(f"{name}{at}", way, number)


def _coco(prefix: str, first: int) -> Iterator[Metric]:
    """Give the twelve figures of COCO; `first` is where its ranges of areas begin among the ways of counting."""
    yield from (_precision(f"{prefix}_ap", first, at_hundredths, at) for at in AT)
    for way, range_ in enumerate(AREAS, first):
        if range_ != "all":
            yield _precision(f"{prefix}_ap_{range_}", way, at_hundredths)
            yield _metric(f"{prefix}_ar_{range_}", way, functools.partial(average_recall, way=way, most=100))
    for most in (1, 10, 100):
        yield _metric(f"{prefix}_ar{most}", first, functools.partial(average_recall, way=first, most=most))


METRICS = (
    *_coco("coco", 0),
    *_coco("coco_mask", len(WAYS)),
    *(_precision("voc07_ap", WAYS.index("voc"), at_tenths, at) for at in AT),
    *(_precision("voc12_ap", WAYS.index("voc"), under_steps, at) for at in AT),
)
