"""k-means: by hand, and against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits

from ssl_bench.errors import DataError, UsageError
from ssl_bench.solvers import kmeans


def test_solved_by_hand() -> None:
    """Of 0, 1, 10 and 11 the best two centres are 0.5 and 10.5, with an inertia of 4 · ¼ = 1."""
    found = kmeans.fit(np.array([[0.0], [10.0], [1.0], [11.0]]), 2)
    assert sorted(found.centres[:, 0].tolist()) == [0.5, 10.5]
    assert found.inertia == 1.0
    assert found.converged
    assert found.assigned[0] == found.assigned[2] != found.assigned[1] == found.assigned[3]


def test_lloyd_is_scikit_learn_s() -> None:
    """From the same first centres every digit ends in the cluster that scikit-learn gives it."""
    x = load_digits().data
    first = x[[3, 50, 700, 900, 1100, 1200, 1300, 1400, 1500, 1600]]
    ours = kmeans.lloyd(torch.as_tensor(x), torch.as_tensor(first), 300)
    peer = KMeans(10, init=first, n_init=1, tol=0, max_iter=300).fit(x)
    np.testing.assert_array_equal(ours.assigned, peer.labels_)
    np.testing.assert_allclose(ours.centres, peer.cluster_centers_, rtol=1e-9, atol=1e-9)
    assert ours.inertia == pytest.approx(peer.inertia_, rel=1e-9)


def test_the_best_of_ten_starts_is_as_good_as_scikit_learn_s() -> None:
    """On the digits the inertia is within a thousandth of scikit-learn's best of ten, and one start is no better."""
    x = load_digits().data
    ours = kmeans.fit(x, 10, restarts=10)
    assert ours.inertia == pytest.approx(KMeans(10, n_init=10, random_state=0).fit(x).inertia_, rel=1e-3)
    assert ours.inertia <= kmeans.fit(x, 10, restarts=1).inertia


def test_the_seed_decides() -> None:
    """One seed gives one clustering, and test samples that were clustered are assigned to where they are."""
    x = load_digits().data[:300]
    first, again, other = (kmeans.fit(x, 10, restarts=1, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.assigned, again.assigned)
    assert not np.array_equal(first.assigned, other.assigned)
    np.testing.assert_array_equal(kmeans.assign(x, first.centres), first.assigned)


def test_an_empty_centre_takes_the_farthest_sample() -> None:
    """A centre that no sample is nearest to is put on the sample that fits worst."""
    x = torch.tensor([[0.0], [1.0], [2.0], [9.0]], dtype=torch.float64)
    found = kmeans.lloyd(x, torch.tensor([[1.0], [100.0]], dtype=torch.float64), 300)
    assert found.assigned.tolist() == [0, 0, 0, 1]
    assert found.centres[:, 0].tolist() == [1.0, 9.0]


def test_the_step_limit_is_said() -> None:
    """A clustering that was stopped before it came to rest says so."""
    assert not kmeans.fit(load_digits().data, 10, restarts=1, iterations=1).converged


@pytest.mark.parametrize(
    ("features", "k", "error", "says"),
    [
        ([[0.0]] * 3, 4, UsageError, "4 clusters were asked for, and there are 3 samples"),
        ([[0.0]] * 3, 0, UsageError, "0 clusters"),
        ([[0.0], [0.0], [1.0]], 3, DataError, "only 2 of the 3 features differ"),
    ],
)
def test_mistakes(features: Any, k: int, error: type[Exception], says: str) -> None:
    """More clusters than samples, or than distinct samples, are one clear line."""
    with pytest.raises(error, match=says):
        kmeans.fit(np.array(features), k)
