"""Numbers that a protocol reads off the features without labels; `protocols.label_free` says what each is.

`alpha_req` has no direction of its own, since it is best near 1: features that decay faster have collapsed, and slower
ones hold noise. It is declared as lower-is-better, which holds above 1, and never is a headline.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ssl_bench.metrics.base import Metric
from ssl_bench.predictions import Quantities, Truth

MOST = 1e9
"""Beyond any number of dimensions, and any exponent."""


def rotation_accuracy(predictions: Quantities, truth: Truth) -> NDArray[np.float64]:
    """Return in how many of its four views each test image's turn was told, as a fraction."""
    right: NDArray[np.float64] = np.mean([predictions.basis[f"turn_{90 * turn}"] == turn for turn in range(4)], axis=0)
    return right


def _value(predictions: Quantities, truth: Truth, name: str) -> float:
    return predictions.values[name]


def _has(predictions: Quantities, truth: Truth, name: str) -> bool:
    return name in predictions.values


METRICS = (
    Metric("rotation_accuracy", "quantities", lambda classes: 0.25, outcomes=rotation_accuracy, interval="normal"),
    *(
        Metric(
            name,
            "quantities",
            lambda classes: None,
            number=functools.partial(_value, name=name),
            unit=unit,
            higher_is_better=higher,
            high=MOST,
            applies=functools.partial(_has, name=name),
        )
        for name, unit, higher in (
            ("rankme", "dimensions", True),
            ("effective_rank", "dimensions", True),
            ("alpha_req", "exponent", False),
        )
    ),
)
