"""Metrics of many labels: cases solved by hand, and scikit-learn's figures on the same scores."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.predictions import Multilabel, Truth


def value(name: str, scores: np.ndarray, targets: np.ndarray) -> float:
    predictions = Multilabel(scores.astype(np.float32))
    return metrics.get(name).score(predictions, Truth({"test": targets}, targets.shape[1]))[0]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return scores with many ties (samples, classes) and targets of 0 and 1."""
    generator = np.random.default_rng(0)
    targets = (generator.random((300, 6)) < np.linspace(0.05, 0.7, 6)).astype(np.int64)
    return (generator.integers(0, 40, (300, 6)) + 12 * targets) / 52, targets


SCORES, TARGETS = np.array([[0.9], [0.8], [0.7], [0.6], [0.5]]), np.array([[1], [0], [1], [-1], [0]])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mean_average_precision", (1 + 2 / 3) / 2), ("voc07_map", (6 * 1 + 5 * 2 / 3) / 11)],
)
def test_by_hand(name: str, expected: float) -> None:
    """Hits first and third of the clear: precision 1 to a recall of ½, and ⅔ beyond; what is unclear does not count."""
    assert value(name, SCORES, TARGETS) == pytest.approx(expected)


def test_the_area_is_scikit_learns() -> None:
    """The mean average precision is average_precision_score, macro, equal scores included."""
    from sklearn.metrics import average_precision_score

    scores, targets = drawn()
    expected = average_precision_score(targets, scores.astype(np.float32), average="macro")
    assert value("mean_average_precision", scores, targets) == pytest.approx(expected, abs=1e-12)


def test_eleven_points_of_scikit_learns_curve() -> None:
    """VOC07's mean is that of the best precision at eleven recalls of precision_recall_curve."""
    from sklearn.metrics import precision_recall_curve

    scores, targets = drawn()
    areas = []
    for score, target in zip(scores.astype(np.float32).T, targets.T, strict=True):
        precision, recall, _ = precision_recall_curve(target, score)
        precision, recall = precision[:-1], recall[:-1]  # scikit-learn adds the point of recall 0
        areas.append(np.mean([precision[recall >= point - 1e-12].max() for point in np.linspace(0, 1, 11)]))
    assert value("voc07_map", scores, targets) == pytest.approx(np.mean(areas), abs=1e-12)


@pytest.mark.parametrize("name", ["mean_average_precision", "voc07_map"])
def test_classes_that_hold_of_none(name: str) -> None:
    """A class that holds of no clear sample does not count, and where none holds it is an error."""
    wide = np.hstack([SCORES, SCORES])
    assert value(name, wide, np.hstack([TARGETS, -np.abs(TARGETS)])) == value(name, SCORES, TARGETS)
    with pytest.raises(DataError, match="no class holds"):
        value(name, SCORES, np.zeros_like(TARGETS))


def test_what_is_kept() -> None:
    """Scores and targets of every class are kept beside the sample."""
    table = Multilabel(SCORES.astype(np.float32)).table(list("abcde"), Truth({"test": TARGETS}, 1))
    assert table["sample_id"] == list("abcde")
    assert (table["target"].shape, table["scores"].shape) == ((5, 1), (5, 1))


def test_mean_roc_auc_is_scikit_learns() -> None:
    """The mean area under the ROC curve is scikit-learn's, ties included; a class that holds of none does not count."""
    from sklearn.metrics import roc_auc_score

    generator = np.random.default_rng(3)
    targets = generator.integers(0, 2, (60, 5))
    scores = (generator.integers(0, 6, (60, 5)) + targets).astype(np.float32)
    metric = metrics.get("mean_roc_auc")
    expected = roc_auc_score(targets, scores, average="macro")
    assert metric.score(Multilabel(scores), Truth({"test": targets}, 5))[0] == pytest.approx(expected)
    targets[:, 2] = 0
    expected = roc_auc_score(targets[:, [0, 1, 3, 4]], scores[:, [0, 1, 3, 4]], average="macro")
    assert metric.score(Multilabel(scores), Truth({"test": targets}, 5))[0] == pytest.approx(expected)
    with pytest.raises(DataError, match="mean_roc_auc"):
        metric.score(Multilabel(scores), Truth({"test": np.ones((60, 5), dtype=np.int64)}, 5))
