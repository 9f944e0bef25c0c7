"""Few-shot ridge: by hand, against the published evaluator's formula and draw, and on the digits."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from ssl_bench import protocols
from ssl_bench.errors import DataError, UsageError


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def published(x: Any, y: Any, test: Any, shots: int, seed: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Return the support and the predicted classes of fewshot_lsr.py: its draw, and its formula solved directly."""
    generator = np.random.default_rng(seed)
    support = np.concatenate([generator.permutation(np.where(y == label)[0])[:shots] for label in range(classes)])
    mean, deviation = x[support].mean(0), x[support].std(0) + 1e-5
    x, test = (np.c_[(part - mean) / deviation, np.full(len(part), 100.0)] for part in (x[support], test))
    targets = 2.0 * np.eye(classes)[y[support]] - 1
    weights = np.linalg.solve(x.T @ x + 1024.0 * np.eye(x.shape[1]), x.T @ targets)
    return support, (test @ weights).argmax(axis=1)


def test_solved_by_hand(make_trial: Any) -> None:
    """One image each at 0 and 2: standardised ±1/(1 + 10⁻⁵), XᵀX = 2s², W = ∓2s/(2s² + λ), and no bias."""
    trial = make_trial(([[0.0], [2.0]], [0, 1]), [[2.0], [1.0 - 1.5]], classes=2)
    found = predict("few_shot_ridge,shots=1,also=1,l2=6", trial).predictions
    s = 1 / (1 + 1e-5)
    weight = 2 * s / (2 * s**2 + 6)
    assert found.ranked.tolist() == [[1, 0], [0, 1]]
    assert found.confidence.tolist() == pytest.approx([weight * s, 1.5 * weight * s], rel=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_parity_with_the_published_evaluator(seed: int, make_trial: Any, digits: Any) -> None:
    """At every number of shots the support is the published draw and every prediction that of the published formula."""
    (x, y), test = digits["train"], digits["test"][0]
    answer = predict("few_shot_ridge", make_trial((x, y), test, seed=seed))
    found = {"shots=10": answer.predictions, **answer.variants}
    assert set(found) == {"shots=1", "shots=5", "shots=10", "shots=25"}
    for shots in (1, 5, 10, 25):
        support, classes = published(x, y, test, shots, seed)
        np.testing.assert_array_equal(found[f"shots={shots}"].ranked[:, 0], classes)
        if shots == 10:
            assert answer.selected["support"] == hashlib.sha256(support.astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("seed", "expected"), [(0, [344, 436, 477, 506]), (1, [313, 452, 460, 505]), (2, [367, 442, 479, 506])]
)
def test_golden(seed: int, expected: list[int], make_trial: Any, digits: Any) -> None:
    """Raw digits: right answers of 597, those of the published evaluator run in float64."""
    answer = predict("few_shot_ridge", make_trial(digits["train"], digits["test"][0], seed=seed))
    found = {"shots=10": answer.predictions, **answer.variants}
    right = {name: int((p.ranked[:, 0] == digits["test"][1]).sum()) for name, p in found.items()}
    assert [right[f"shots={shots}"] for shots in (1, 5, 10, 25)] == expected


def test_every_model_gets_the_same_support(make_trial: Any, digits: Any) -> None:
    """The support hangs on labels and seed alone, and on nothing of the features."""
    (x, y), test = digits["train"], digits["test"][0]
    first = predict("few_shot_ridge", make_trial((x, y), test)).selected["support"]
    other = np.random.default_rng(0).random((len(x), 3))
    assert predict("few_shot_ridge", make_trial((other, y), test[:, :3])).selected["support"] == first
    assert predict("few_shot_ridge", make_trial((x, y), test, seed=1)).selected["support"] != first


def test_the_rest_of_train_and_val_are_not_looked_at(make_trial: Any, digits: Any) -> None:
    """Images of train outside the largest support, and val, change no answer."""
    (x, y), test = digits["train"], digits["test"][0]
    support, _ = published(x, y, test, 25, seed=0)
    noise = np.full_like(x, 7.0)
    noise[support] = x[support]
    plain = predict("few_shot_ridge", make_trial((x, y), test, digits["val"]))
    other = predict("few_shot_ridge", make_trial((noise, y), test))
    np.testing.assert_array_equal(plain.predictions.ranked, other.predictions.ranked)
    np.testing.assert_array_equal(plain.variants["shots=25"].ranked, other.variants["shots=25"].ranked)


@pytest.mark.parametrize("name", ["few_shot_ridge", "few_shot_logistic"])
def test_too_few_images(name: str, make_trial: Any) -> None:
    """Shots beyond the smallest class are an error that names it and the mend; further ones are left out, and told; a
    class without an image is an error."""
    train = ([[float(i)] for i in range(9)], [0] * 5 + [1] * 4)
    answer = predict(f"{name},shots=4,also=1+5", make_trial(train, [[0.0]], classes=2))
    assert (set(answer.variants), answer.selected["left_out"]) == ({"shots=1"}, ["shots=5"])
    with pytest.raises(UsageError, match=f"shots=5, but class 1 has 4 training samples; ask for {name},shots=4"):
        predict(f"{name},shots=5", make_trial(train, [[0.0]], classes=2))
    with pytest.raises(DataError, match="class 2 has no training sample"):
        predict(f"{name},shots=1", make_trial(train, [[0.0]], classes=3))


@pytest.mark.parametrize("text", ["few_shot_ridge,shots=0", "few_shot_ridge,also=0", "few_shot_ridge,l2=0"])
def test_bad_recipes(text: str) -> None:
    """No shots and no penalty are refused."""
    with pytest.raises(UsageError, match="few_shot_ridge: "):
        protocols.get(text)


@pytest.mark.parametrize("name", ["few_shot_ridge", "few_shot_logistic", "low_shot"])
def test_not_finite(name: str, make_trial: Any, digits: Any) -> None:
    """A feature of train that is NaN is an error, whether or not the support holds it."""
    (x, y), test = digits["train"], digits["test"][0]
    x = x.copy()
    x[3, 3] = np.nan
    with pytest.raises(DataError, match="1 of 1000 features of the train split"):
        predict(name, make_trial((x, y), test))
