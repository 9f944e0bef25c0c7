"""Scores of maps of classes, from the pixels that agree, summed over the test set class by class and never image by
image, as in mmsegmentation's IoUMetric:

    miou           mean over classes of shared / (true + said - shared): of those that any pixel is, or is said to be
    macc           mean over classes of shared / true: of those that any pixel is
    aacc           shared / true, of all classes together
    boundary_iou   miou of edges alone; see `predictions.masks`
    iou            the intersection over the union of one class, recorded as "<class>/iou"

Intervals are bootstrapped by image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Overlaps, Truth

Values = NDArray[np.float64]


def per_class_iou(predictions: Overlaps, names: Sequence[str] = ()) -> dict[str, float]:
    """Return the intersection over the union of each class that any pixel is, or is said to be, by "<class>/iou": its
    name, or its label where classes have none."""
    true, said, shared = (counts.sum(axis=0) for counts in (predictions.true, predictions.said, predictions.shared))
    values = _share(shared, true + said - shared)
    words = names if len(set(names)) == len(values) else range(len(values))
    return {f"{word}/iou": float(value) for word, value in zip(words, values, strict=True) if np.isfinite(value)}


def miou(predictions: Overlaps, truth: Truth, counts: Values) -> Values:
    """Return the mean over classes of the intersection over the union."""
    return _mean_iou(predictions.true, predictions.said, predictions.shared, counts)


def boundary_iou(predictions: Overlaps, truth: Truth, counts: Values) -> Values:
    """Return the mean over classes of the intersection over the union of edges."""
    return _mean_iou(predictions.true_edge, predictions.said_edge, predictions.shared_edge, counts)


def macc(predictions: Overlaps, truth: Truth, counts: Values) -> Values:
    """Return the mean over classes of the share of their pixels that were given them."""
    return _mean(_share(_sum(counts, predictions.shared), _sum(counts, predictions.true)))


def aacc(predictions: Overlaps, truth: Truth, counts: Values) -> Values:
    """Return the share of all pixels that were given their class."""
    return _mean(_share(*(_sum(counts, each.sum(axis=1)[:, None]) for each in (predictions.shared, predictions.true))))


def _mean_iou(true: NDArray[np.int64], said: NDArray[np.int64], shared: NDArray[np.int64], counts: Values) -> Values:
    both = _sum(counts, shared)
    return _mean(_share(both, _sum(counts, true) + _sum(counts, said) - both))


def _sum(counts: Values, pixels: NDArray[np.int64]) -> Values:
    """Return the pixels of every draw (draws, classes); exact, since no test set has 2⁵³ pixels."""
    return counts @ pixels.astype(np.float64)


def _share(part: NDArray[np.floating], whole: NDArray[np.floating]) -> Values:
    shares: Values = np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)
    return shares


def _mean(shares: Values) -> Values:
    """Return the mean (draws,) over the classes (draws, classes) that are there; NaN for a draw without any.

    Raises DataError where no draw has one.
    """
    there = np.isfinite(shares)
    if not there.any():
        raise DataError("no pixel of any test mask counts for a class, so there is nothing to score")
    return _share(np.where(there, shares, 0.0).sum(axis=1), there.sum(axis=1))


METRICS = (
    *(
        Metric(function.__name__, "segmentation", lambda classes: None, weighted=function)
        for function in (miou, macc, aacc, boundary_iou)
    ),
    Metric("iou", "segmentation", lambda classes: None, applies=lambda predictions, truth: False),
)
"""The last is a class's alone, and never of a whole answer."""
