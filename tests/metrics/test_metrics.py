"""Metrics: cases solved by hand, and scikit-learn's figures on the same predictions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes, Truth
from ssl_bench.protocols.base import top_classes


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


def scored(scores: np.ndarray) -> Classes:
    """Return predictions that keep every score."""
    return top_classes(scores, probability=True, every=True)


def test_calibration_by_hand() -> None:
    """Two right and one wrong at 0.8 are off by 0.133, one wrong at 0.5 by 0.5: ¾ · 0.133 + ¼ · 0.5."""
    confidence = np.array([0.8, 0.8, 0.8, 0.5], dtype=np.float32)
    predictions = Classes(np.zeros((4, 1), dtype=np.int64), confidence, probability=True)
    found = metrics.get("ece").score(predictions, Truth({"test": np.array([0, 0, 1, 1])}, 2))[0]
    assert found == pytest.approx(0.75 * (0.8 - 2 / 3) + 0.25 * 0.5)


def test_calibration_bin_by_bin() -> None:
    """ECE is that of a loop over fifteen bins that hold their upper edge, at the edges 1/15, 2/15, … and 1 too."""
    generator = np.random.default_rng(0)
    confidence = np.concatenate([generator.random(500), np.arange(1, 16) / 15, [1.0]]).astype(np.float32)
    targets = generator.integers(0, 2, len(confidence))
    total, edges = 0.0, np.linspace(0, 1, 16)
    for low, high in itertools.pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs((targets[inside] == 0).mean() - confidence[inside].mean(dtype=np.float64))
    predictions = Classes(np.zeros((len(targets), 1), dtype=np.int64), confidence, probability=True)
    found = metrics.get("ece").score(predictions, Truth({"test": targets}, 2))[0]
    assert found == pytest.approx(total, abs=1e-9)


def test_calibration_needs_probabilities() -> None:
    """Confidence in a unit of its own has no calibration: the metric does not apply."""
    truth = Truth({"test": np.array([0])}, 2)
    plain = Classes(np.zeros((1, 1), dtype=np.int64), np.ones(1, dtype=np.float32))
    assert [metrics.get(name).applies(plain, truth) for name in ("ece", "roc_auc", "top1")] == [False, False, True]


@pytest.mark.parametrize("classes", [2, 5])
def test_area_is_scikit_learns(classes: int) -> None:
    """ROC AUC is roc_auc_score, one against the rest and macro, equal scores included."""
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(1)
    targets = np.arange(400) % classes
    scores = (generator.integers(1, 5, (400, classes)) + 2.0 * np.eye(classes)[targets]) ** 2
    scores /= scores.sum(axis=1, keepdims=True)
    scores = scores.astype(np.float32).astype(np.float64)
    asked = scores[:, 1] - scores[:, 0] if classes == 2 else scores
    expected = (
        roc_auc_score(targets, asked)
        if classes == 2
        else np.mean([roc_auc_score(targets == label, scores[:, label]) for label in range(classes)])
    )
    found = metrics.get("roc_auc").score(scored(scores), Truth({"test": targets}, classes))[0]
    assert found == pytest.approx(expected, abs=1e-12)


def test_area_by_hand() -> None:
    """Of the pairs (0.9, 0.5), (0.9, 0.7), (0.5, 0.5) and (0.5, 0.7) two are in order, one is equal: 2.5 of 4."""
    positive = np.array([0.9, 0.5, 0.5, 0.7])
    truth = Truth({"test": np.array([1, 1, 0, 0])}, 2)
    found = metrics.get("roc_auc").score(scored(np.stack([1 - positive, positive], axis=1)), truth)[0]
    assert found == pytest.approx(2.5 / 4)


def test_area_without_pairs() -> None:
    """Targets of one class alone are an error; a class that no target has does not count."""
    scores = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]])
    with pytest.raises(DataError, match="one class"):
        metrics.get("roc_auc").score(scored(scores), Truth({"test": np.array([1, 1])}, 3))
    assert metrics.get("roc_auc").score(scored(scores), Truth({"test": np.array([2, 0])}, 3))[0] == 1.0
