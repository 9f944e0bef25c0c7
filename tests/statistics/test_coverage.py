"""Simulated truth, in short: the whole is `benchmarks/statistics_coverage.py`."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

import ssl_bench

FILE = Path(ssl_bench.__file__).parent.parent / "benchmarks" / "statistics_coverage.py"


def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("statistics_coverage", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SHORT = (
    "Wilson, n 1000, p 0.98",
    "t over 3 seeds",
    "bootstrap by image, n 200",
    "bootstrap by cluster, 30",
    "Tango, n 1000, 3 % discordant",
    "paired t over queries, n 70",
    "5 seeds, n 2000, seeds' sd 0.2 pt",
    "mean over 20 tasks, 3 % discordant",
)


@pytest.mark.parametrize("name", SHORT)
def test_coverage(name: str) -> None:
    """In 150 simulations a 95 % interval holds the truth in 90 to 99 %."""
    module = benchmark()
    assert 0.90 <= module.coverage(module.COVERAGE[name], 150, seed=5) <= 0.99


def test_false_alarms() -> None:
    """Of 300 comparisons of 20 tasks between which nothing differs, at most 5 % find a regression, by task or mean."""
    module = benchmark()
    margins = list(module.MARGINS.values())
    for rates in module.alarm_rates(partial(module.deterministic, discordance=0.03), 300, margins, seed=3):
        assert rates[2] <= 0.05


def test_a_true_loss_is_found() -> None:
    """A loss of one point of 20 tasks is found nearly always, and 0.3 points by the mean in most comparisons."""
    module = benchmark()
    simulate, margins = partial(module.deterministic, discordance=0.03), [(0.003, 0.002)]
    assert module.alarm_rates(partial(simulate, delta=-0.01), 60, margins)[0][0] > 0.95
    assert module.alarm_rates(partial(simulate, delta=-0.003), 100, margins)[0][1] > 0.8


def test_resampling_is_quick() -> None:
    """10,000 resamples of a suite of 20 tasks take about a second; generously, three."""
    assert benchmark().resampling_seconds(2) < 3
