"""What every metric says of itself: what it scores, in which unit, direction and range, and what chance gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.predictions import Truth
from ssl_bench.statistics import mean_interval, resampled_cells, wilson
from ssl_bench.statistics.intervals import expanded_percentiles

Outcomes = NDArray[np.floating[Any]] | NDArray[np.bool_]
Bounds = tuple[float, float, str]
"""Lower and upper end of a 95 % interval, and its method."""
DRAWS = 1000
"""Resamples behind a bootstrapped interval."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A named score of one kind of predictions: the mean of what every unit of the test gives, or one number."""

    name: str
    kind: str
    """The kind of predictions that it scores."""
    chance: Callable[[int], float | None]
    """classes → what guessing gives, where that is a number."""
    outcomes: Callable[[Any, Truth], Outcomes] | None = None
    """(predictions, truth) → what each unit (a sample, a query, an episode) gives; the value is their mean."""
    number: Callable[[Any, Truth], float] | None = None
    """(predictions, truth) → the value, where it is no mean over units."""
    weighted: Callable[[Any, Truth, NDArray[np.float64]], NDArray[np.float64]] | None = None
    """(predictions, truth, counts (draws, samples)) → the value of every draw, in which each sample stands so many
    times, where it is a number that all samples give together; its interval is bootstrapped by sample."""
    bootstrapped: bool = True
    """False where what is `weighted` has no interval, since one of its siblings' says as much."""
    centred: bool = False
    """True where resamples lie to one side of the value, as of areas under the best of a curve, whose peaks grow where
    samples stand twice: they are then moved until their median is the value."""
    interval: Literal["wilson", "normal", ""] = ""
    """"wilson" for outcomes of 0 and 1, "normal" for other means; empty where neither holds."""
    unit: str = "fraction"
    higher_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    applies: Callable[[Any, Truth], bool] = lambda predictions, truth: True
    """False where these predictions do not say enough."""
    every_score: bool = False
    """True where a protocol must keep the scores of all classes."""

    def score(self, predictions: Any, truth: Truth) -> tuple[float, int, Bounds | None]:
        """Return the value, how many units are behind it, and the interval where there is one."""
        if self.weighted is not None:
            return self._bootstrapped(predictions, truth)
        if self.outcomes is None:
            assert self.number is not None
            return self.number(predictions, truth), len(truth.targets), None
        outcomes = np.asarray(self.outcomes(predictions, truth), dtype=np.float64)
        value, n = float(outcomes.mean()), len(outcomes)
        if self.interval == "wilson":
            return value, n, (*wilson(value * n, n), "wilson")
        if self.interval == "normal":
            low, high = mean_interval(value, float(outcomes.std(ddof=1)) if n > 1 else 0.0, n)
            return value, n, (max(low, self.low), min(high, self.high), "normal")
        return value, n, None

    def _bootstrapped(self, predictions: Any, truth: Truth) -> tuple[float, int, Bounds | None]:
        """Return the value, the samples behind it, and the interval of `DRAWS` resamples of them."""
        assert self.weighted is not None
        n = len(truth.targets)
        value = float(self.weighted(predictions, truth, np.ones((1, n)))[0])
        if n < 2 or not self.bootstrapped:
            return value, n, None
        drawn = resampled_cells(np.ones(n), DRAWS, np.random.default_rng(0))
        values = self.weighted(predictions, truth, drawn)
        values = values[np.isfinite(values)]
        if self.centred:
            values = values + (value - np.median(values))
        low, high = expanded_percentiles(values, n, 0.95)
        method = "centred bootstrap" if self.centred else "bootstrap"
        return value, n, (min(max(low, self.low), value), max(min(high, self.high), value), method)
