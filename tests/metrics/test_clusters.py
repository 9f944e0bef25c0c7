"""Scores of clusters: by hand, and scikit-learn's and scipy's figures on the same groups."""

from __future__ import annotations

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.predictions import Clusters, Truth


def value(name: str, assigned: list[int] | np.ndarray, targets: list[int] | np.ndarray) -> float:
    targets = np.asarray(targets)
    truth = Truth({"test": targets}, int(targets.max()) + 1)
    return metrics.get(name).score(Clusters(np.asarray(assigned)), truth)[0]


INFORMATION = 0.5 * np.log(4 / 3) + 0.25 * np.log(2 / 3) + 0.25 * np.log(2)
ENTROPIES = np.log(2) + 0.25 * np.log(4) + 0.75 * np.log(4 / 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("hungarian_accuracy", 3 / 4), ("nmi", 2 * INFORMATION / ENTROPIES), ("ari", (1 - 2 * 3 / 6) / (2.5 - 1))],
)
def test_by_hand(name: str, expected: float) -> None:
    """Classes aabb in clusters 7 7 7 3: cluster 7 is a, cluster 3 is b, and one b is wrong."""
    assert value(name, [7, 7, 7, 3], [0, 0, 1, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("name", ["hungarian_accuracy", "nmi", "ari"])
def test_names_of_clusters_do_not_matter(name: str) -> None:
    """The same partition under other numbers scores 1; so does one group against one class."""
    assert value(name, [5, 5, 0, 9], [1, 1, 2, 0]) == 1
    assert value(name, [4, 4, 4], [0, 0, 0]) == 1


@pytest.mark.parametrize("clusters", [1, 3, 8, 30])
def test_parity_with_scikit_learn_and_scipy(clusters: int) -> None:
    """NMI and ARI are scikit-learn's, accuracy is scipy's assignment, with fewer and with more clusters."""
    from scipy.optimize import linear_sum_assignment
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
    from sklearn.metrics.cluster import contingency_matrix

    draw = np.random.default_rng(clusters)
    targets = draw.integers(0, 8, 500)
    assigned = np.where(draw.random(500) < 0.5, targets, draw.integers(0, 30, 500)) % clusters
    table = contingency_matrix(targets, assigned)
    expected = {
        "nmi": normalized_mutual_info_score(targets, assigned),
        "ari": adjusted_rand_score(targets, assigned),
        "hungarian_accuracy": table[linear_sum_assignment(-table)].sum() / 500,
    }
    assert {name: value(name, assigned, targets) for name in expected} == pytest.approx(expected, abs=1e-12)


def test_more_clusters_than_classes_cost_their_samples() -> None:
    """A class that is split over two clusters has the larger one right alone."""
    assert value("hungarian_accuracy", [0, 0, 1, 2, 2], [0, 0, 0, 1, 1]) == 4 / 5
