"""Clustering: by hand, against scikit-learn, and on the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans

from ssl_bench import metrics, protocols
from ssl_bench.errors import DataError, SslBenchError, UsageError
from ssl_bench.predictions import Truth


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def test_solved_by_hand(make_trial: Any) -> None:
    """Directions make the groups where features are normalised, lengths do where they are not."""
    train, test = ([[1, 0], [0, 1]], [0, 1]), [[1, 0.1], [9, 0], [0, 1], [0.1, 9]]
    trial = make_trial(train, test, classes=2)
    near, far = predict("clustering", trial), predict("clustering,normalise=false,k=3", trial)
    assert near.predictions.assigned[0] == near.predictions.assigned[1] != near.predictions.assigned[2]
    assert near.predictions.assigned[2] == near.predictions.assigned[3]
    assert near.selected["k"] == 2
    assert far.predictions.assigned[0] == far.predictions.assigned[2]
    assert len(set(far.predictions.assigned.tolist())) == 3


def test_centres_may_come_from_train(make_trial: Any) -> None:
    """With fit=train a test image takes the nearest centre of train's clusters, even where test alone has one group."""
    trial = make_trial(([[1, 0], [1, 0.1], [0, 1], [0.1, 1]], [0, 0, 1, 1]), [[1, 0], [1, 0.2]], classes=2)
    assert len(set(predict("clustering,fit=train", trial).predictions.assigned.tolist())) == 1
    assert len(set(predict("clustering", trial).predictions.assigned.tolist())) == 2


def test_parity_and_golden(make_trial: Any, digits: Any) -> None:
    """597 digits fall into ten clusters as tight as scikit-learn's, and 419 into the one of their class."""
    test, targets = digits["test"]
    answer = predict("clustering", make_trial(digits["train"], test))
    unit = test / np.linalg.norm(test, axis=1, keepdims=True)
    peer = KMeans(10, n_init=10, random_state=0).fit(unit)
    assert answer.selected["inertia"] <= peer.inertia_ * 1.001
    truth = Truth({"test": targets}, 10)
    value, n, bounds = metrics.get("hungarian_accuracy").score(answer.predictions, truth)
    assert (round(value * n), n) == (419, 597)
    assert bounds is not None
    assert metrics.get("nmi").score(answer.predictions, truth)[0] == pytest.approx(0.7516, abs=1e-4)


def test_nothing_seen_is_one_cluster(make_trial: Any) -> None:
    """A backbone that says nothing puts all images into one cluster."""
    trial = make_trial(([[0.0], [0.0]], [0, 1]), [[0.0]] * 3, classes=2)
    object.__setattr__(trial, "informative", False)
    assert protocols.get("clustering").answer(trial).predictions.assigned.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("text", "test", "error", "says"),
    [
        ("clustering,k=9", [[1, 0], [0, 1]], UsageError, "9 clusters were asked for, and there are 2 samples"),
        ("clustering", [[1, 0], [2, 0], [0, 0]], DataError, "only 2 of the 3 features differ"),
        ("clustering", [[1, 0], [np.nan, 0], [0, 1]], DataError, "1 of 3 features of the test split are NaN"),
        ("clustering,restarts=0", [[1, 0]], UsageError, "restarts and iterations 1 or more"),
        ("clustering,fit=tset", [[1, 0]], UsageError, "Did you mean test"),
    ],
)
def test_mistakes(text: str, test: Any, error: type[SslBenchError], says: str, make_trial: Any) -> None:
    """What cannot be clustered is one clear line."""
    with pytest.raises(error, match=says) as caught:
        predict(text, make_trial(([[1, 0], [0, 1]], [0, 1]), test, classes=3))
    assert "\n" not in str(caught.value)
