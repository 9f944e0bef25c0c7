"""Scores of distances and directions of pixels: means over images of the errors that are told of each.

A mean over images is not one over pixels: images count alike, however much of them is known. It is how DINOv3 and the
depth estimation toolboxes before it report.
"""

from __future__ import annotations

import functools

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Truth
from ssl_bench.predictions.surfaces import DirectionErrors, DistanceErrors, Values

MOST = 1e9
"""Beyond any distance that is measured, and any error of one."""


def _per_image(predictions: DistanceErrors | DirectionErrors, truth: Truth, name: str) -> Values:
    return predictions.known(name)


def _metric(name: str, kind: str, unit: str, higher: bool = False, high: float = MOST) -> Metric:
    return Metric(
        name,
        kind,
        lambda classes: None,
        outcomes=functools.partial(_per_image, name=name),
        interval="normal",
        unit=unit,
        higher_is_better=higher,
        high=high,
    )


METRICS = (
    _metric("rmse", "distances", "metres"),
    _metric("abs_rel", "distances", "ratio"),
    _metric("sq_rel", "distances", "metres"),
    _metric("mae", "distances", "metres"),
    _metric("rmse_log", "distances", "nats"),
    _metric("log10", "distances", "decades"),
    _metric("silog", "distances", "hundredths of a nat"),
    *(_metric(name, "distances", "fraction", higher=True, high=1.0) for name in ("a1", "a2", "a3")),
    *(_metric(name, "directions", "degrees", high=180.0) for name in ("angle_mean", "angle_median", "angle_rmse")),
    *(
        _metric(name, "directions", "fraction", higher=True, high=1.0)
        for name in ("within_11", "within_22", "within_30")
    ),
)
