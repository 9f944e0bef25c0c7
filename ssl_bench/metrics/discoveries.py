"""Scores of boxes that were found without labels: CorLoc (Deselaers et al., ECCV 2010), the share of images whose box
overlaps an object's by half or more. Images without an object count nowhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Truth
from ssl_bench.predictions.discoveries import DiscoveryOverlaps


def corloc(predictions: DiscoveryOverlaps, truth: Truth) -> NDArray[np.bool_]:
    """Return of every image with an object whether one was found; raise DataError where no image has one."""
    shown = predictions.objects > 0
    if not shown.any():
        raise DataError("no test image shows an object")
    return predictions.overlaps[shown] >= 0.5


METRICS = (Metric("corloc", "discoveries", lambda classes: None, outcomes=corloc, interval="wilson"),)
