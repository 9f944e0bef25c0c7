"""Scores of found objects: average precision and recall as COCO, LVIS and PASCAL VOC take them.

From the highest score down, precision is the share of true ones among what was found so far, recall the share of the
true ones that were found; what counts neither way is left out. Precision at a recall is the highest at that recall or
more. Per class and threshold of overlap, average precision is its mean

    COCO, LVIS   over the recalls 0, 0.01, … 1 (cocoeval.py, accumulate)
    VOC 2007     over the recalls 0, 0.1, … 1
    VOC 2010 on  over all recalls, the area under the steps (VOCdevkit VOCap.m)

and the score is the mean over classes that have an object to be found, and over thresholds where the name gives none.
Precision at a recall being what it is, each such mean is Σ (precision at r) · (g(r) - g(r')) over the recalls r that a
true object ends, r' being the one before, where g is the share of those recalls that are r or less. Intervals are
bootstrapped by image, and moved until the median of the resamples is the value.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Matches, Truth, matching
from ssl_bench.predictions.matching import AREAS, WAYS

Values = NDArray[np.float64]
Growth = Callable[[Values], Values]
"""Recall to g, the share of the recalls asked for that are as high or lower."""
AT = {"": slice(None), "50": slice(0, 1), "75": slice(5, 6)}
"""End of a metric's name to the thresholds over which it is a mean."""
Value = Callable[..., Values]
"""(predictions, truth, counts) and more by name → the value of every draw."""
BLOCK = 50_000_000
"""Numbers that resamples of a class may take in memory at once."""


class Curve(NamedTuple):
    """What stands behind precision and recall of one class and threshold, in draws of the images."""

    rights: Values  # (draws, right): true ones among what was found up to each of them
    seen: Values  # (draws, right): how many were found up to it
    to_find: Values  # (draws,)


def average_precision(
    predictions: Matches, truth: Truth, counts: Values, way: int, growth: Growth, at: slice
) -> Values:
    """Return the mean average precision over classes and the thresholds `at` of every draw; see above."""
    total = np.zeros((2, len(counts)))
    for curve in curves(predictions, counts, way, at):
        precision = curve.rights / np.maximum(curve.seen, 1)
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = curve.rights / np.maximum(curve.to_find, 1)[:, None]
        total += (best * np.diff(growth(recall), axis=1, prepend=0)).sum(axis=1), curve.to_find > 0
    return _mean(*total)


def average_recall(predictions: Matches, truth: Truth, counts: Values, way: int, most: int) -> Values:
    """Return the mean over classes and thresholds of the recall that the first `most` of each image reach."""
    total = np.zeros((2, len(counts)))
    for curve in curves(predictions, counts, way, slice(None), most):
        found = curve.rights[:, -1] if curve.rights.shape[1] else np.zeros(len(counts))
        total += found / np.maximum(curve.to_find, 1), curve.to_find > 0
    return _mean(*total)


def curves(
    predictions: Matches, counts: Values, way: int, at: slice, most: int = matching.MOST_FEDERATED
) -> Iterator[Curve]:
    """Give the curve of every class that has an object to be found, at each threshold of `at`.

    `most` of a class in an image are looked at; `counts` (draws, images) tell how often each image stands in a draw.
    """
    every = predictions.whole
    wanted = every.true_unused[:, way] == 0
    for label in np.unique(every.true_label[wanted]):
        to_find = counts[:, predictions.true_images[wanted & (every.true_label == label)]].sum(axis=1)
        rows = np.flatnonzero((every.found_label == label) & (predictions.places < most))
        rows = rows[np.argsort(-every.found_score[rows], kind="stable")]
        right = matching.unpacked(every.found_right[rows, way])[:, at]
        unused = matching.unpacked(every.found_unused[rows, way])[:, at]
        weights = counts[:, predictions.found_images[rows]]
        for hits, counted in zip(right.T, ~unused.T, strict=True):
            ends = np.flatnonzero(hits)
            seen = np.cumsum(weights * counted, axis=1)[:, ends]
            yield Curve(np.cumsum(weights[:, ends], axis=1), seen, to_find)


def _mean(total: Values, classes: Values) -> Values:
    """Return the mean of every draw; NaN of one in which nothing is to be found."""
    means: Values = np.divide(total, classes, out=np.full(len(total), np.nan), where=classes > 0)
    return means


def of_hundredths(recall: Values) -> Values:
    """Return the share of the recalls 0, 0.01, … 1 that are `recall` or less."""
    return np.searchsorted(np.linspace(0.0, 1.0, 101), recall, side="right") / 101


def of_tenths(recall: Values) -> Values:
    """Return the share of the recalls 0, 0.1, … 1 that are `recall` or less; a recall of 0.3 counts for 0.3."""
    return np.searchsorted(np.arange(11) / 10 - 1e-12, recall, side="right") / 11


def of_all(recall: Values) -> Values:
    """Return the share of all recalls that are `recall` or less."""
    return recall


def _to_be_found(predictions: Matches, truth: Truth, way: int, federated: bool) -> bool:
    """Tell whether this way of counting was gone, and has an object to be found."""
    unused = predictions.whole.true_unused
    asked = federated == predictions.federated and way < unused.shape[1]
    return asked and bool((unused[:, way] == 0).any())


def _metric(name: str, way: int, value: Value, federated: bool = False, bootstrapped: bool = False) -> Metric:
    return Metric(
        name,
        "detections",
        lambda classes: None,
        weighted=functools.partial(_in_blocks, value=functools.partial(value, way=way)),
        bootstrapped=bootstrapped,
        centred=True,
        applies=functools.partial(_to_be_found, way=way, federated=federated),
    )


def _in_blocks(predictions: Matches, truth: Truth, counts: Values, value: Value) -> Values:
    """Return a metric's values, of as many draws at a time as memory allows."""
    blocks = -(-len(counts) * len(predictions.whole.found_label) // BLOCK)
    return np.concatenate([value(predictions, truth, block) for block in np.array_split(counts, max(1, blocks))])


def _precisions(name: str, way: int, growth: Growth, federated: bool = False) -> Iterator[Metric]:
    """Give average precision over all thresholds, at 0.5 and at 0.75."""
    for end, at in AT.items():
        value = functools.partial(average_precision, growth=growth, at=at)
        yield _metric(f"{name}{end}", way, value, federated, bootstrapped=True)


def _coco(name: str, first: int, federated: bool = False) -> Iterator[Metric]:
    """Give the figures of COCO or LVIS; `first` is where the ranges of areas begin among the ways of counting."""
    yield from _precisions(f"{name}_ap", first, of_hundredths, federated)
    precision = functools.partial(average_precision, growth=of_hundredths, at=AT[""])
    most = matching.MOST_FEDERATED if federated else matching.MOST
    recall = functools.partial(average_recall, most=most)
    for way, range_ in enumerate(AREAS, first):
        if range_ != "all":
            yield _metric(f"{name}_ap_{range_}", way, precision, federated)
            yield _metric(f"{name}_ar_{range_}", way, recall, federated)
    for some in (300,) if federated else (1, 10, 100):
        yield _metric(f"{name}_ar{some}", first, functools.partial(average_recall, most=some), federated)


METRICS = (
    *_coco("coco", 0),
    *_coco("coco_mask", len(WAYS)),
    *_coco("lvis", 0, federated=True),
    *_coco("lvis_mask", len(WAYS), federated=True),
    *_precisions("voc07_ap", WAYS.index("voc"), of_tenths),
    *_precisions("voc12_ap", WAYS.index("voc"), of_all),
)
