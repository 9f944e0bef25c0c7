"""Few-shot logistic regression and low-shot: supports, folds, the choice of C, and parity with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_bench import protocols
from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols import _logistic, _supports

SHORT = "c_low=-3,c_high=2,c_steps=6"


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def peer(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-10, max_iter=20_000))


def chosen_by_peer(x: Any, y: Any, fold_of: np.ndarray) -> tuple[float, list[float]]:
    """Return scikit-learn's choice of C by the same folds, and its curve."""
    from sklearn.model_selection import PredefinedSplit, cross_val_predict

    grid = 10.0 ** np.arange(-3, 3)
    shares = [(cross_val_predict(peer(c), x, y, cv=PredefinedSplit(fold_of)) == y).mean() for c in grid]
    return float(grid[int(np.argmax(shares))]), shares


@pytest.mark.parametrize("shots", [2, 5])
def test_parity_with_scikit_learn(shots: int, make_trial: Any, digits: Any) -> None:
    """The curve, the chosen C and every prediction are scikit-learn's on the same support and folds."""
    (x, y), test = digits["train"], digits["test"][0]
    answer = predict(f"few_shot_logistic,shots={shots},also={shots},{SHORT}", make_trial((x, y), test, seed=4))
    support = _supports.balanced(_supports.shuffled(y, 10, seed=4), shots)
    best, curve = chosen_by_peer(x[support], y[support], _logistic.folds(y[support], 5, seed=4))
    assert [row["top1"] for row in answer.curve] == pytest.approx(curve, abs=1e-9)
    assert answer.selected["c"] == pytest.approx(best)
    model = peer(best).fit(x[support], y[support])
    np.testing.assert_array_equal(answer.predictions.ranked[:, 0], model.predict(test))
    np.testing.assert_allclose(answer.predictions.confidence, model.predict_proba(test).max(axis=1), rtol=1e-3)
    assert answer.converged


def test_one_shot_solved_by_hand(make_trial: Any) -> None:
    """One image each at 0 and 2 is ±1 standardised, where w = 2C · 2 / (1 + e^w) at the fallback C."""
    trial = make_trial(([[0.0], [2.0]], [0, 1]), [[2.0], [0.0]], classes=2)
    answer = predict("few_shot_logistic,shots=1,also=1,fallback_c=2", trial)
    w = 1.0
    for _ in range(200):
        w -= (w - 8 / (1 + np.exp(w))) / (1 + 8 * np.exp(w) / (1 + np.exp(w)) ** 2)
    assert answer.predictions.confidence.tolist() == pytest.approx([1 / (1 + np.exp(-w))] * 2, rel=1e-5)
    assert (answer.curve, answer.at_grid_edge, answer.selected["c"]) == ((), None, 2.0)


def test_golden(make_trial: Any, digits: Any) -> None:
    """Raw digits, seed 0: right answers of 597."""
    answer = predict("few_shot_logistic", make_trial(digits["train"], digits["test"][0]))
    found = {"shots=10": answer.predictions, **answer.variants}
    right = {name: int((p.ranked[:, 0] == digits["test"][1]).sum()) for name, p in found.items()}
    assert right == {"shots=1": 333, "shots=5": 479, "shots=10": 516, "shots=25": 540}


def test_supports_are_those_of_ridge(make_trial: Any, digits: Any) -> None:
    """Both few-shot protocols learn from the same images."""
    trial = make_trial(digits["train"], digits["test"][0], seed=2)
    asked = (f"few_shot_logistic,also=1,{SHORT}", "few_shot_ridge")
    assert len({predict(text, trial).selected["support"] for text in asked}) == 1


def test_a_fixed_c_has_no_curve(make_trial: Any, digits: Any) -> None:
    """With one C nothing is held out at any number of shots."""
    trial = make_trial(digits["train"], digits["test"][0])
    answer = predict("few_shot_logistic,c_low=-1,c_high=-1,c_steps=1", trial)
    assert (answer.curve, answer.at_grid_edge) == ((), None)
    assert {answer.selected["c"], *answer.selected["further_c"].values()} == {0.1}


def test_folds() -> None:
    """Folds are of equal size, deal every class evenly, leave each class a sample, and never hold out a lone one."""
    labels = np.repeat([0, 1, 2, 3], [7, 4, 2, 1])
    fold_of = _logistic.folds(labels, 3, seed=0)
    assert fold_of[-1] == -1
    assert np.bincount(fold_of[:-1]).tolist() == [5, 4, 4]
    for fold in range(3):
        assert set(labels[fold_of != fold]) == {0, 1, 2, 3}
        counts = np.bincount(labels[fold_of == fold], minlength=4)
        assert 2 <= counts[0] <= 3
        assert 1 <= counts[1] <= 2
    np.testing.assert_array_equal(fold_of, _logistic.folds(labels, 3, seed=0))
    assert not np.array_equal(fold_of, _logistic.folds(labels, 3, seed=1))
    assert _logistic.folds(np.arange(4), 5, seed=0).tolist() == [-1] * 4


@pytest.mark.parametrize(
    "text",
    [
        "few_shot_logistic,shots=0",
        "few_shot_logistic,c_steps=0",
        "few_shot_logistic,folds=1",
        "low_shot,fraction=0",
        "low_shot,also=1.5",
        "low_shot,fallback_c=0",
        "low_shot,c_low=1,c_high=0",
    ],
)
def test_bad_recipes(text: str) -> None:
    """A recipe that cannot be followed is refused in the protocol's name."""
    with pytest.raises(UsageError, match=f"^{text.partition(',')[0]}: "):
        protocols.get(text)


def test_low_shot_parity_with_scikit_learn(make_trial: Any, digits: Any) -> None:
    """The curve by val, the chosen C and every prediction of a tenth are scikit-learn's on the same images."""
    (x, y), test, (val, truth) = digits["train"], digits["test"][0], digits["val"]
    answer = predict(f"low_shot,select=val,also=0.1,{SHORT}", make_trial((x, y), test, digits["val"], seed=1))
    members = _supports.shuffled(y, 10, seed=1)
    subset = np.concatenate([found[: round(len(found) / 10)] for found in members])
    assert answer.selected["support"] == _supports.digest(subset)
    shares = {c: peer(c).fit(x[subset], y[subset]).score(val, truth) for c in 10.0 ** np.arange(-3, 3)}
    assert [row["top1"] for row in answer.curve] == pytest.approx(list(shares.values()), abs=1e-9)
    best = min(shares, key=lambda c: (-shares[c], c))
    assert answer.selected["c"] == pytest.approx(best)
    model = peer(best).fit(x[subset], y[subset])
    np.testing.assert_array_equal(answer.predictions.ranked[:, 0], model.predict(test))


def test_low_shot_golden(make_trial: Any, digits: Any) -> None:
    """Raw digits, seed 0: 100 and 10 of 1,000 images, and the right answers of 597."""
    answer = predict("low_shot", make_trial(digits["train"], digits["test"][0]))
    found = {"fraction=0.1": answer.predictions, **answer.variants}
    right = {name: int((p.ranked[:, 0] == digits["test"][1]).sum()) for name, p in found.items()}
    assert answer.selected["samples"] == {"fraction=0.01": 10, "fraction=0.1": 100}
    assert right == {"fraction=0.01": 333, "fraction=0.1": 516}


def test_low_shot_keeps_rare_classes(make_trial: Any) -> None:
    """A class of one image is in every subset; one that train lacks comes last."""
    features = np.arange(41.0)[:, None]
    trial = make_trial((features, [0] * 20 + [1] * 20 + [2]), [[40.0]], classes=4)
    answer = predict(f"low_shot,{SHORT}", trial)
    assert answer.selected["samples"] == {"fraction=0.1": 5}
    assert answer.selected["left_out"] == ["fraction=0.01"]
    assert answer.predictions.ranked[0, -1] == 3


def test_low_shot_refusals(make_trial: Any) -> None:
    """A share below half an image of every class, a val that is not there and one class alone are errors."""
    train = ([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    with pytest.raises(UsageError, match=r"the largest of which has 2; ask for low_shot,fraction=0\.5"):
        predict("low_shot", make_trial(train, [[0.0]], classes=2))
    with pytest.raises(UsageError, match="no val to choose C on"):
        predict("low_shot,select=val", make_trial(train, [[0.0]], classes=2))
    with pytest.raises(DataError, match="every sample is of class 1"):
        predict("low_shot,fraction=1", make_trial((train[0], [1] * 4), [[0.0]], classes=2))
    with pytest.raises(DataError, match="train holds no sample"):
        predict("low_shot", make_trial((np.zeros((0, 1)), []), [[0.0]], classes=2))
