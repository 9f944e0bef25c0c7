"""Scores of rankings: by hand, and as scikit-learn and the revisited benchmarks' formula give them."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.metrics.rankings import revisited_map
from ssl_bench.predictions import Rankings, Truth


def score(name: str, order: list[list[int]], targets: list[int], gallery: list[int] | None = None) -> tuple[float, int]:
    labels = {"test": np.array(targets)} | ({"train": np.array(gallery)} if gallery else {})
    rankings = Rankings(np.array(order, dtype=np.int32), "train" if gallery else "test")
    return metrics.get(name).score(rankings, Truth(labels, 3))[:2]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("map", (1 + (1 / 2 + 2 / 3) / 2) / 2), ("recall_at_1", 1 / 2), ("recall_at_5", 1.0), ("recall_at_10", 1.0)],
)
def test_by_hand(name: str, expected: float) -> None:
    """Class 0 comes at place 0, class 1 at places 1 and 2; class 2, which the gallery lacks, is not asked."""
    assert score(name, [[0, 1, 2], [0, 1, 2], [2, 1, 0]], [0, 1, 2], [0, 1, 1]) == pytest.approx((expected, 2))


def test_leaving_one_out() -> None:
    """In a gallery of the other test images a class of one has nothing to find."""
    assert score("map", [[1, 2], [2, 0], [0, 1]], [0, 0, 1]) == ((1 + 1 / 2) / 2, 2)
    with pytest.raises(DataError, match="nothing to find"):
        score("map", [[1, 2], [2, 0], [0, 1]], [0, 1, 2])


def test_a_short_ranking_can_be_perfect() -> None:
    """Where fewer images are ranked than there are to find, the first places all right give 1."""
    assert score("map", [[0, 1]], [0], [0, 0, 0, 1])[0] == 1
    assert score("map", [[3, 1]], [0], [0, 0, 0, 1])[0] == pytest.approx((1 / 2) / 2)


def test_map_is_scikit_learn_s_average_precision() -> None:
    """Over whole rankings, average precision is scikit-learn's average_precision_score of the falling similarity."""
    from sklearn.metrics import average_precision_score

    draw = np.random.default_rng(0)
    gallery, targets = draw.integers(0, 3, 200), draw.integers(0, 3, 50)
    similarity = draw.random((50, 200))
    order = np.argsort(-similarity, axis=1)
    expected = np.mean([average_precision_score(gallery == t, s) for t, s in zip(targets, similarity, strict=True)])
    assert score("map", order.tolist(), targets.tolist(), gallery.tolist())[0] == pytest.approx(expected)


ORDER = np.array([[4, 0, 3, 1, 2], [0, 1, 2, 3, 4]])
EASY, HARD, JUNK = [[0], [1]], [[1, 2], []], [[4], [0]]


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        ("easy", (1 + 1) / 2),
        ("medium", ((1 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3 + 1) / 2),
        ("hard", (0 + 1 / 2) / 2 / 2 + (1 / 2 + 2 / 3) / 2 / 2),
    ],
)
def test_revisited_by_hand(setup: str, expected: float) -> None:
    """Without junk 4 and 0 the first query ranks 0, 3, 1, 2 and the second 1, 2, 3, 4; trapezoids add up by hand."""
    assert revisited_map(ORDER, EASY, HARD, JUNK, setup) == pytest.approx(expected)  # type: ignore[arg-type]


def published(ranks: np.ndarray, wanted: list[list[int]], junk: list[list[int]]) -> float:
    """The benchmark's rule, step by step: places less the junk before them, and the area under the broken line."""
    values = []
    for ranking, good, bad in zip(ranks, wanted, junk, strict=True):
        if not good:
            continue
        area, hits, place = 0.0, 0, 0
        for image in ranking.tolist():
            if image in bad:
                continue
            if image in good:
                area += ((hits / place if place else 1.0) + (hits + 1) / (place + 1)) / (2 * len(good))
                hits += 1
            place += 1
        values.append(area)
    return sum(values) / len(values)


def test_revisited_is_the_published_rule() -> None:
    """On random judgements, empty ones among them, every setup gives what the rule gives step by step."""
    draw = np.random.default_rng(1)
    order = np.stack([draw.permutation(60) for _ in range(20)])
    kinds = [draw.choice(4, 60, p=[0.05, 0.05, 0.05, 0.85]) for _ in range(20)]
    easy, hard, junk = ([np.flatnonzero(row == kind).tolist() for row in kinds] for kind in range(3))
    easy[0], hard[1] = [], []
    both = [a + b for a, b in zip(easy, hard, strict=True)]
    assert revisited_map(order, easy, hard, junk, "medium") == pytest.approx(published(order, both, junk))
    out = [a + b for a, b in zip(junk, hard, strict=True)]
    assert revisited_map(order, easy, hard, junk, "easy") == pytest.approx(published(order, easy, out))
    out = [a + b for a, b in zip(junk, easy, strict=True)]
    assert revisited_map(order, easy, hard, junk, "hard") == pytest.approx(published(order, hard, out))


def test_revisited_mistakes() -> None:
    """An unknown setup, and judgements without anything to find, are one clear line."""
    with pytest.raises(UsageError, match="Known: easy, medium, hard"):
        revisited_map(ORDER, EASY, HARD, JUNK, "difficult")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no query has an image to find"):
        revisited_map(ORDER, [[], []], [[], []], JUNK, "medium")
