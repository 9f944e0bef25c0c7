"""Scores of landmarks that were sought in other images: the share that is found (PCK, Yang and Ramanan, 2013).

A landmark is found where the place that is said lies nearer than a share of the longer side of the object's box. The
value is the mean over classes of objects of each class's share of landmarks, as in probe3d; `…_ceiling` is what no
choice among the places of a map could surpass. Intervals are bootstrapped by the first image of a pair.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Truth
from ssl_bench.predictions.landmarks import LandmarkErrors

Values = NDArray[np.float64]
SHARES = {"pck_10": 0.1, "pck_05": 0.05, "pck_01": 0.01}


def pck(predictions: LandmarkErrors, truth: Truth, counts: Values, share: float, ceiling: bool = False) -> Values:
    """Return the mean over groups of the share of landmarks less than `share` off, for every draw of images."""
    names, group = np.unique(np.array(predictions.groups), return_inverse=True)
    found = (predictions.least if ceiling else predictions.errors) < share
    cell = group * counts.shape[1] + predictions.first
    size = len(names) * counts.shape[1]
    shape = (len(names), counts.shape[1])
    hits = counts @ np.bincount(cell, found, minlength=size).reshape(shape).T
    asked = counts @ np.bincount(cell, minlength=size).reshape(shape).T  # (draws, groups)
    shares = np.divide(hits, asked, out=np.zeros_like(hits), where=asked > 0)
    there = (asked > 0).sum(axis=1)
    values: Values = np.divide(shares.sum(axis=1), there, out=np.full(len(there), np.nan), where=there > 0)
    return values


METRICS = (
    *(
        Metric(name, "landmarks", lambda classes: None, weighted=functools.partial(pck, share=share))
        for name, share in SHARES.items()
    ),
    Metric(
        "pck_10_ceiling",
        "landmarks",
        lambda classes: None,
        weighted=functools.partial(pck, share=0.1, ceiling=True),
        applies=lambda predictions, truth: bool(predictions.least.any()),
    ),
)
