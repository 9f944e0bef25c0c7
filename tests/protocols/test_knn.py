"""Nearest neighbours: by hand, against the published formula, and on MNIST; `tests/cli/test_run.py` has its error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_bench import protocols
from ssl_bench.errors import UsageError


def formula(bank: Any, labels: Any, queries: Any, k: int, temperature: float, classes: int) -> np.ndarray:
    """The published vote, in float64 NumPy: classes (queries, classes) by falling Σ exp(s / T)."""
    bank, queries = bank.astype(np.float64), queries.astype(np.float64)
    bank = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    similarity = queries @ bank.T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    votes = np.zeros((len(queries), classes))
    for row, columns in enumerate(nearest):
        for column in columns:
            votes[row, labels[column]] += np.exp(similarity[row, column] / temperature)
    return np.argsort(-votes, axis=1, kind="stable")


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def test_solved_by_hand(make_trial: Any) -> None:
    """One neighbour at cos 0° outweighs two at cos 60° when e^(1/T) > 2 e^(½/T), that is when T < ½ / ln 2 = 0.72."""
    train = ([[1, 0], [1, 3**0.5], [1, -(3**0.5)], [-1, 0]], [1, 0, 0, 2])
    trial = make_trial(train, [[5, 0]], classes=3)
    sharp = predict("knn,k=3,also=1,temperature=0.7", trial).predictions
    blunt = predict("knn,k=3,also=1,temperature=0.75", trial).predictions
    assert sharp.ranked.tolist() == [[1, 0, 2]]
    assert blunt.ranked.tolist() == [[0, 1, 2]]
    share = np.exp(1 / 0.7) / (np.exp(1 / 0.7) + 2 * np.exp(0.5 / 0.7))
    assert sharp.confidence[0] == pytest.approx(share, rel=1e-6)


def test_uniform_ties_go_to_the_nearest(make_trial: Any) -> None:
    """Of classes with equally many votes the one with the nearest image comes first."""
    trial = make_trial(([[4], [1], [2], [3]], [0, 2, 1, 0]), [[0]], classes=3)
    text = "knn,k=3,also=2+4,distance=euclidean,weighting=uniform"
    answer = predict(text, trial)
    assert answer.predictions.ranked.tolist() == [[2, 1, 0]]
    assert answer.variants["k=2"].ranked.tolist() == [[2, 1]]
    assert answer.variants["k=4"].ranked.tolist() == [[0, 2, 1]]
    assert answer.variants["k=4"].confidence.tolist() == [0.5]


def test_copies_are_taken_in_order(make_trial: Any) -> None:
    """Of equally similar images the first in train is the nearer."""
    trial = make_trial(([[3, 4]] * 50, [7] + [1] * 49), [[6, 8]])
    assert predict("knn,k=1,also=1", trial).predictions.ranked.tolist() == [[7]]


def test_zero_vector(make_trial: Any) -> None:
    """A feature of length zero has similarity 0 to all, as in torch's normalize, and so the first k vote alike."""
    trial = make_trial(([[1, 0], [0, 1], [-1, 0]], [2, 1, 1]), [[0, 0]], classes=3)
    assert predict("knn,k=1,also=1", trial).predictions.ranked.tolist() == [[2]]
    assert predict("knn,k=3,also=1", trial).predictions.confidence[0] == pytest.approx(2 / 3)


def test_k_beyond_train(make_trial: Any) -> None:
    """The headline's k must fit into train; further readings that do not fit are left out, and it is said."""
    trial = make_trial(([[1, 0]] * 30, [0, 1] * 15), [[1, 1]], classes=2)
    answer = predict("knn", trial)
    assert set(answer.variants) == {"k=10"}
    assert answer.selected["left_out"] == ["k=100", "k=200"]
    assert answer.predictions.ranked.shape == (1, 2)
    with pytest.raises(UsageError, match="k=31, but train holds 30"):
        predict("knn,k=31", trial)


@pytest.mark.parametrize("k", [1, 3, 10, 20, 100, 200])
def test_parity_with_the_formula(k: int, make_trial: Any, digits: Any) -> None:
    """On the digits every ranking, up to the fifth class, is that of the published formula in float64."""
    (bank, labels), test = digits["train"], digits["test"][0]
    found = predict(f"knn,k={k}", make_trial((bank, labels), test)).predictions
    expected = formula(bank, labels, test, k, 0.07, 10)[:, : min(5, k)]
    np.testing.assert_array_equal(found.ranked, expected)


@pytest.mark.parametrize(("k", "weights"), [(1, "uniform"), (5, "uniform")])
def test_parity_with_scikit_learn(k: int, weights: str, make_trial: Any, digits: Any) -> None:
    """Euclidean neighbours with equal votes are scikit-learn's wherever its vote is not a tie."""
    from sklearn.neighbors import KNeighborsClassifier

    (bank, labels), test = digits["train"], digits["test"][0]
    peer = KNeighborsClassifier(k, weights=weights, algorithm="brute").fit(bank, labels)
    votes = np.sort(peer.predict_proba(test), axis=1)
    clear = votes[:, -1] > votes[:, -2]
    text = f"knn,k={k},distance=euclidean,weighting=uniform"
    found = predict(text, make_trial((bank, labels), test)).predictions.ranked[:, 0]
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(found[clear], peer.predict(test)[clear])


def test_exponential_euclidean_on_unit_vectors_is_cosine(make_trial: Any, digits: Any) -> None:
    """On features of length 1, s = −½‖difference‖² is the cosine less one, so both distances vote alike."""
    (bank, labels), test = digits["train"], digits["test"][0]
    bank, test = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (bank, test))
    trial = make_trial((bank, labels), test)
    cosine, euclidean = predict("knn", trial).predictions, predict("knn,distance=euclidean", trial).predictions
    np.testing.assert_array_equal(cosine.ranked[:, 0], euclidean.ranked[:, 0])
    np.testing.assert_allclose(cosine.confidence, euclidean.confidence, rtol=1e-5)


def test_golden(make_trial: Any, digits: Any) -> None:
    """Raw digits: 1,000 in the bank, 597 asked."""
    answer = predict("knn", make_trial(digits["train"], digits["test"][0]))
    right = {k: int((p.ranked[:, 0] == digits["test"][1]).sum()) for k, p in answer.variants.items()}
    right["k=20"] = int((answer.predictions.ranked[:, 0] == digits["test"][1]).sum())
    assert right == {"k=10": 572, "k=20": 567, "k=100": 553, "k=200": 547}


@pytest.mark.data
def test_mnist_parity_with_the_formula(make_trial: Any, mnist: Any) -> None:
    """On 10,000 and 1,000 MNIST images every prediction is that of the published formula in float64."""
    (bank, labels), test = (part[:10000] for part in mnist["train"]), mnist["test"][0][:1000]
    found = predict("knn", make_trial((bank, labels), test)).predictions
    np.testing.assert_array_equal(found.ranked[:, 0], formula(bank, labels, test, 20, 0.07, 10)[:, 0])
