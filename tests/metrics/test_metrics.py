"""Metrics: cases solved by hand, and scikit-learn's figures on the same predictions."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import UsageError
from ssl_bench.predictions import Classes, Truth


def value(name: str, ranked: np.ndarray, targets: np.ndarray, classes: int) -> float:
    """Return a metric of predicted classes."""
    predictions = Classes(ranked, np.zeros(len(ranked), dtype=np.float32))
    return metrics.get(name).score(predictions, Truth({"test": targets}, classes))[0]


RANKED = np.array([[0, 1], [0, 2], [1, 0], [2, 0]])
TARGETS = np.array([0, 0, 0, 2])


@pytest.mark.parametrize(("name", "expected"), [("top1", 3 / 4), ("top5", 1.0), ("mean_per_class", (2 / 3 + 1) / 2)])
def test_by_hand(name: str, expected: float) -> None:
    """Of three samples of class 0 two are right, of one of class 2 one; class 1 has none and does not count."""
    ranked = RANKED[:, :1] if name == "top1" else RANKED
    assert value(name, ranked, TARGETS, 3) == pytest.approx(expected)


def test_top5_looks_at_five() -> None:
    """The sixth class is not looked at."""
    ranked = np.tile(np.arange(6), (6, 1))
    assert value("top5", ranked, np.arange(6), 6) == pytest.approx(5 / 6)


def test_parity_with_scikit_learn() -> None:
    """Top-1 is accuracy_score, top-5 top_k_accuracy_score, the mean per class balanced_accuracy_score."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

    generator = np.random.default_rng(0)
    scores, targets = generator.random((500, 8)), np.arange(500) % 8
    ranked = np.argsort(-scores, axis=1)[:, :5]
    expected = {
        "top1": accuracy_score(targets, ranked[:, 0]),
        "top5": top_k_accuracy_score(targets, scores, k=5),
        "mean_per_class": balanced_accuracy_score(targets, ranked[:, 0]),
    }
    assert {name: value(name, ranked, targets, 8) for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize(("name", "classes", "chance"), [("top1", 4, 0.25), ("top5", 3, 1.0), ("top5", 10, 0.5)])
def test_chance(name: str, classes: int, chance: float) -> None:
    """Chance is what uniform guessing gives, and top-5 of three classes cannot err."""
    assert metrics.get(name).chance(classes) == chance


def test_unknown() -> None:
    """A misspelt metric is told the nearest known one."""
    with pytest.raises(UsageError, match="Did you mean mean_per_class"):
        metrics.get("mean_per_clas")
