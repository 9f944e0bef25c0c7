"""Retrieval: by hand, against plain sorting, and on the digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_bench import metrics, protocols
from ssl_bench.errors import DataError, SslBenchError, UsageError
from ssl_bench.predictions import Truth
from ssl_bench.protocols import retrieval


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def test_solved_by_hand(make_trial: Any) -> None:
    """Images at 0, 10, 30 and 70 degrees are ranked by angle, and none ranks itself."""
    angles = np.deg2rad([0, 10, 30, 70])
    test = np.stack([np.cos(angles), np.sin(angles)], 1) * [[1], [5], [2], [9]]
    found = predict("retrieval", make_trial(([[1, 0]], [0]), test)).predictions
    assert found.order.tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]
    assert found.order.dtype == np.int32


def test_copies_are_found_first_and_in_order(make_trial: Any) -> None:
    """Of many copies of a query the first in the gallery come first, whatever the depth, and never the query itself."""
    trial = make_trial(([[1, 0]], [0]), [[1, 1]] * 15)
    assert predict("retrieval", trial).predictions.order[14].tolist() == list(range(14))
    assert predict("retrieval,depth=10", trial).predictions.order[14].tolist() == list(range(10))
    assert predict("retrieval,depth=10", trial).predictions.order[3].tolist() == [0, 1, 2, *range(4, 11)]


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_parity_with_sorting(distance: str, make_trial: Any, digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranking of train, in small blocks, is that of all similarities in float64, sorted."""
    monkeypatch.setattr(retrieval, "BLOCK_BYTES", 1 << 20)
    (bank, labels), test = (part[:300] for part in digits["train"]), digits["test"][0][:100]
    found = predict(f"retrieval,gallery=train,distance={distance}", make_trial((bank, labels), test)).predictions
    if distance == "cosine":
        similarity = (test @ bank.T) / np.linalg.norm(bank, axis=1) / np.linalg.norm(test, axis=1)[:, None]
    else:
        similarity = -((test[:, None] - bank[None]) ** 2).sum(-1)
    assert found.gallery == "train"
    np.testing.assert_array_equal(found.order, np.argsort(-similarity.round(10), axis=1, kind="stable"))


def test_golden(make_trial: Any, digits: Any) -> None:
    """Among 597 raw digits the nearest other is of the query's class for 591; the mean average precision is 0.6837."""
    test, targets = digits["test"]
    answer, truth = predict("retrieval", make_trial(digits["train"], test)), Truth({"test": targets}, 10)
    value, n, bounds = metrics.get("recall_at_1").score(answer.predictions, truth)
    assert (round(value * n), n) == (591, 597)
    assert bounds is not None
    assert metrics.get("map").score(answer.predictions, truth)[0] == pytest.approx(0.6837, abs=1e-4)
    short = predict("retrieval,depth=10", make_trial(digits["train"], test)).predictions
    np.testing.assert_array_equal(short.order, answer.predictions.order[:, :10])


def test_nothing_seen_is_a_draw(make_trial: Any, digits: Any) -> None:
    """A backbone that says nothing finds the classes about as often as they are: 0.1 for ten."""
    test, targets = digits["test"]
    trial = make_trial(digits["train"], test)
    object.__setattr__(trial, "informative", False)
    found = protocols.get("retrieval").answer(trial).predictions
    assert sorted([*found.order[7], 7]) == list(range(len(test)))
    assert metrics.get("map").score(found, Truth({"test": targets}, 10))[0] == pytest.approx(0.11, abs=0.02)


@pytest.mark.parametrize(
    ("text", "test", "error", "says"),
    [
        ("retrieval", [[1, 0]], UsageError, "test holds one image"),
        ("retrieval", [[1, 0], [np.inf, 0]], DataError, "1 of 2 features of the test split are NaN or infinite"),
        ("retrieval,depth=5", [[1, 0]], UsageError, "10 and more"),
        ("retrieval,gallery=val", [[1, 0]], UsageError, "Did you mean|gallery must be|gallery is"),
    ],
)
def test_mistakes(text: str, test: Any, error: type[SslBenchError], says: str, make_trial: Any) -> None:
    """What cannot be ranked is one clear line."""
    with pytest.raises(error, match=says) as caught:
        predict(text, make_trial(([[1, 0], [0, 1]], [0, 1]), test))
    assert "\n" not in str(caught.value)


def test_a_gallery_too_large_says_what_to_ask(make_trial: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rankings beyond the memory that is allowed are refused with a depth that fits."""
    monkeypatch.setattr(retrieval, "MOST_BYTES", 4 * 30 * 20)
    trial = make_trial(([[1, 0]], [0]), np.random.default_rng(0).random((30, 2)))
    with pytest.raises(UsageError, match=r"30 queries that rank 29 images each .* retrieval,depth=20"):
        predict("retrieval", trial)
    assert predict("retrieval,depth=20", trial).predictions.order.shape == (30, 20)
