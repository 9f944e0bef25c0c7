"""Logistic regression: the choice of C, the refit, degenerate data, and parity with scikit-learn's whole protocol."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pytest

from ssl_bench import metrics, protocols
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Truth
from ssl_bench.protocols.base import stratified_holdout

SHORT = "logistic_regression,c_low=-3,c_high=2,c_steps=6"
FIXED = "logistic_regression,c_low=0,c_high=0,c_steps=1"


def predict(text: str, trial: Any) -> Any:
    return protocols.get(text).predict(trial)


def peer(c: float) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-10, max_iter=20_000))


def test_solved_by_hand(make_trial: Any) -> None:
    """Samples at ±1 of two classes: W = ±w/2, where w = 2C · 2 / (1 + e^w), and P(1 | x=1) = 1 / (1 + e^−w)."""
    trial = make_trial(([[-1], [1]], [0, 1]), [[1], [-1]], classes=2)
    answer = predict(FIXED + ",features=raw", trial)
    w = 1.0
    for _ in range(200):
        w -= (w - 4 / (1 + np.exp(w))) / (1 + 4 * np.exp(w) / (1 + np.exp(w)) ** 2)
    assert answer.predictions.ranked.tolist() == [[1, 0], [0, 1]]
    assert answer.predictions.confidence.tolist() == pytest.approx([1 / (1 + np.exp(-w))] * 2, rel=1e-5)
    assert answer.selected["objective"] == pytest.approx(w**2 / 4 + 2 * np.log1p(np.exp(-w)), rel=1e-8)


@pytest.mark.parametrize("with_val", [True, False])
def test_parity_with_scikit_learn(with_val: bool, make_trial: Any, digits: Any) -> None:
    """Every row of the curve, the chosen C and every prediction are scikit-learn's, fitted to 1e-10, on the digits."""
    (x, y), test = digits["train"], digits["test"][0]
    trial = make_trial((x, y), test, digits["val"] if with_val else None, seed=3)
    answer = predict(SHORT, trial)
    kept, held = stratified_holdout(y, 0.1, seed=3)
    fit, val = ((x, y), digits["val"]) if with_val else ((x[kept], y[kept]), (x[held], y[held]))
    scores = {c: peer(c).fit(*fit).score(*val) for c in 10.0 ** np.arange(-3, 3)}
    assert [row["val_top1"] for row in answer.curve] == pytest.approx(list(scores.values()), abs=1e-9)
    best = min(scores, key=lambda c: (-scores[c], c))
    assert answer.selected["c"] == pytest.approx(best)
    both = [np.concatenate(pair) for pair in zip((x, y), digits["val"], strict=True)] if with_val else [x, y]
    model = peer(best).fit(*both)
    np.testing.assert_array_equal(answer.predictions.ranked[:, 0], model.predict(test))
    np.testing.assert_allclose(answer.predictions.confidence, model.predict_proba(test).max(axis=1), rtol=1e-3)
    assert answer.converged
    assert answer.at_grid_edge is (best in (1e-3, 1e2))


def test_golden(make_trial: Any, digits: Any) -> None:
    """Raw digits, the whole grid: the candidates, the choice and the right answers of 597."""
    answer = predict("logistic_regression", make_trial(digits["train"], digits["test"][0], digits["val"]))
    assert len(answer.curve) == 45
    assert answer.curve[0]["c"] == pytest.approx(1e-6)
    assert answer.curve[-1]["c"] == pytest.approx(1e5)
    assert all(row["converged"] for row in answer.curve)
    assert answer.selected["c"] == pytest.approx(10**0.5)
    assert int((answer.predictions.ranked[:, 0] == digits["test"][1]).sum()) == 550


def test_ties_take_the_strongest_penalty(make_trial: Any) -> None:
    """Of values of C that do equally well on val the smallest is taken, and the edge of the grid is owned up to."""
    x, y = [[-2], [-1], [1], [2]], [0, 0, 1, 1]
    answer = predict(SHORT, make_trial((x, y), [[3]], val=(x, y), classes=2))
    assert {row["val_top1"] for row in answer.curve} == {1.0}
    assert answer.selected["c"] == pytest.approx(1e-3)
    assert answer.at_grid_edge is True


def test_fixed_c_needs_no_val(make_trial: Any) -> None:
    """With one C nothing is held out or chosen: there is no curve and no edge."""
    answer = predict(FIXED, make_trial(([[0], [1], [2]], [0, 1, 2]), [[2], [0]], classes=3))
    assert (answer.curve, answer.at_grid_edge, answer.converged) == ((), None, True)
    assert answer.predictions.ranked[:, 0].tolist() == [2, 0]


def test_classes_without_samples(make_trial: Any) -> None:
    """A class that train lacks comes last, by number; a label of val that train lacks is simply wrong there."""
    train = ([[-1], [-2], [1], [2]], [3, 3, 1, 1])
    answer = predict(SHORT, make_trial(train, [[-3], [3]], classes=5))
    assert answer.predictions.ranked.tolist() == [[3, 1, 0, 2, 4], [1, 3, 0, 2, 4]]
    answer = predict(SHORT, make_trial(train, [[-3], [3]], val=([[-1], [9]], [3, 4]), classes=5))
    assert {row["val_top1"] for row in answer.curve} == {0.5}


def test_a_class_with_one_sample(make_trial: Any, digits: Any) -> None:
    """A class with a single sample is fitted, never held out."""
    x, y = digits["train"]
    keep = np.sort(np.concatenate([np.flatnonzero(y != 9)[:200], np.flatnonzero(y == 9)[:1]]))
    trial = make_trial((x[keep], y[keep]), x[y == 9][:1])
    assert predict(SHORT, trial).converged
    assert predict(FIXED, trial).predictions.ranked[0, 0] == 9


def test_constant_features(make_trial: Any, digits: Any) -> None:
    """A feature that never varies in train, though 0.1 is no binary number, changes no prediction, even where test
    breaks its constancy."""
    (x, y), test = digits["train"], digits["test"][0]
    widened = np.hstack([x, np.full((len(x), 2), [0.1, 1e6])])
    strange = np.hstack([test, np.random.default_rng(0).normal(size=(len(test), 2))])
    plain = predict(SHORT, make_trial((x, y), test))
    padded = predict(SHORT, make_trial((widened, y), strange))
    np.testing.assert_array_equal(plain.predictions.ranked, padded.predictions.ranked)


def test_nothing_to_learn(make_trial: Any) -> None:
    """One class alone is an error that names it; one sample per class leaves nothing to choose C on, and says so."""
    with pytest.raises(DataError, match="every sample is of class 2"):
        predict(SHORT, make_trial(([[0], [1], [2], [3]], [2, 2, 2, 2]), [[1]], classes=3))
    with pytest.raises(UsageError, match="fix C instead"):
        predict(SHORT, make_trial(([[0], [1]], [0, 1]), [[1]], classes=2))


def test_standardised_means_scale_free(make_trial: Any, digits: Any) -> None:
    """Standardised, features in other units give the same answer; raw, they do not."""
    (x, y), test = digits["train"], digits["test"][0]
    same = [predict(FIXED, make_trial((x * s, y), test * s)).predictions.confidence for s in (1, 0.01)]
    raw = [predict(FIXED + ",features=raw", make_trial((x * s, y), test * s)).predictions.confidence for s in (1, 0.01)]
    np.testing.assert_allclose(*same, rtol=1e-3)
    assert np.abs(raw[0] - raw[1]).max() > 0.1


def test_the_seed_draws_the_held_out(make_trial: Any, digits: Any) -> None:
    """Without val the seed changes the curve; with val it changes nothing."""
    (x, y), test = digits["train"], digits["test"][0]
    curves = [predict(SHORT, make_trial((x, y), test, seed=seed)).curve for seed in (0, 1)]
    assert curves[0] != curves[1]
    curves = [predict(SHORT, make_trial((x, y), test, digits["val"], seed=seed)).curve for seed in (0, 1)]
    assert curves[0] == curves[1]


@pytest.mark.data
def test_pneumonia(make_trial: Any, pneumonia: Any) -> None:
    """PneumoniaMNIST pixels, raw, C = 1: accuracy near .822 and AUC near .917, and scikit-learn's at C = 2."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    trial = make_trial(pneumonia["train"], pneumonia["test"][0], classes=2)
    found = predict(FIXED + ",features=raw", dataclasses.replace(trial, every_score=True)).predictions
    truth = pneumonia["test"][1]
    positive = np.where(found.ranked[:, 0] == 1, found.confidence, 1 - found.confidence)
    assert (found.ranked[:, 0] == truth).mean() == pytest.approx(0.822, abs=0.03)
    area = metrics.get("roc_auc").score(found, Truth({"test": truth.astype(np.int64)}, 2))[0]
    assert area == pytest.approx(0.917, abs=0.01)
    assert area == pytest.approx(roc_auc_score(truth, positive), abs=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LogisticRegression(C=2.0, tol=1e-8, max_iter=20_000).fit(*pneumonia["train"])
    np.testing.assert_allclose(positive, model.predict_proba(pneumonia["test"][0])[:, 1], atol=1e-3)
