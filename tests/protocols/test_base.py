"""What every protocol stands on: the trial, the prior, the order of classes, the held-out tenth."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ssl_bench import protocols
from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols.base import Supply, Trial, stratified_holdout, top_classes

FAST = [
    "knn",
    "logistic_regression,c_steps=5,c_low=-2,c_high=2",
    "few_shot_ridge",
    "few_shot_logistic,c_steps=5,c_low=-2,c_high=2",
    "low_shot,c_steps=5,c_low=-2,c_high=2",
]


def test_a_trial_refuses_test_labels() -> None:
    """A trial that holds labels of test cannot be made."""
    labels = {"train": np.array([0, 1]), "test": np.array([0, 1])}
    with pytest.raises(ValueError, match="test labels"):
        Trial(classes=2, seed=0, sizes={"train": 2, "test": 2}, labels=labels, supply=Supply())


def test_not_finite(make_trial: Any) -> None:
    """A feature that is NaN is an error that counts the samples and names the split."""
    trial = make_trial(([[0.0], [1.0]], [0, 1]), [[np.nan], [0.0]], classes=2)
    with pytest.raises(DataError, match="1 of 2 features of the test split"):
        trial.features("test")
    with pytest.raises(UsageError, match="no split 'tset'"):
        trial.features("tset")


@pytest.mark.parametrize("text", FAST)
def test_no_test_label_is_within_reach(text: str, make_trial: Any, digits: Any) -> None:
    """A protocol that is given a trial in which test labels raise, and train labels alone are read, still answers."""

    class Watched(dict):  # type: ignore[type-arg]
        def __getitem__(self, split: str) -> Any:
            assert split in ("train", "val")
            return super().__getitem__(split)

    trial = make_trial(digits["train"], digits["test"][0], digits["val"])
    object.__setattr__(trial, "labels", Watched(trial.labels))
    assert protocols.get(text).predict(trial).predictions.ranked.shape == (len(digits["test"][0]), 5)


@pytest.mark.parametrize("text", FAST)
def test_samples_of_test_do_not_know_each_other(text: str, make_trial: Any, digits: Any) -> None:
    """The answer for a test image is the same whatever other images, and in whatever order, are in test."""
    test = digits["test"][0]
    order = np.random.default_rng(0).permutation(len(test))[:300]
    whole = protocols.get(text).predict(make_trial(digits["train"], test)).predictions
    part = protocols.get(text).predict(make_trial(digits["train"], test[order])).predictions
    np.testing.assert_array_equal(whole.ranked[order], part.ranked)
    np.testing.assert_allclose(whole.confidence[order], part.confidence, rtol=1e-6)


@pytest.mark.parametrize("text", FAST)
def test_a_backbone_that_says_nothing(text: str, make_trial: Any, digits: Any) -> None:
    """Where features say nothing the answer is train's classes by frequency, ties to the lower class."""
    trial = make_trial(([[0.0]] * 5, [2, 2, 1, 0, 2]), [[0.0]] * 3, classes=4)
    object.__setattr__(trial, "informative", False)
    answer = protocols.get(text).answer(trial)
    assert answer.predictions.ranked.tolist() == [[2, 0, 1, 3]] * 3
    assert answer.predictions.confidence.tolist() == pytest.approx([0.6] * 3)


@pytest.mark.parametrize("text", FAST)
@pytest.mark.filterwarnings("error")
def test_features_may_be_read_only(text: str, make_trial: Any, digits: Any) -> None:
    """Features and labels that lie in a file mapped for reading are neither written to nor warned of."""
    trial = make_trial(digits["train"], digits["test"][0], digits["val"])
    for array in (*map(trial.features, trial.sizes), *trial.labels.values()):
        array.flags.writeable = False
    assert len(protocols.get(text).predict(trial).predictions.ranked) == 597


def test_top_classes() -> None:
    """Classes fall by score, and equal ones rise by number."""
    found = top_classes(np.array([[0.1, 0.5, 0.5, 0.0]]), most=3)
    assert found.ranked.tolist() == [[1, 2, 0]]
    assert found.confidence.tolist() == [0.5]


def test_holdout() -> None:
    """Every class gives up a rounded tenth, at least one of two samples, and none of one; the seed decides which."""
    labels = np.repeat([0, 1, 2, 3], [100, 26, 2, 1])
    kept, held = stratified_holdout(labels, 0.1, seed=0)
    assert np.bincount(labels[held], minlength=4).tolist() == [10, 3, 1, 0]
    assert sorted([*kept, *held]) == list(range(len(labels)))
    np.testing.assert_array_equal(held, stratified_holdout(labels, 0.1, seed=0)[1])
    assert not np.array_equal(held, stratified_holdout(labels, 0.1, seed=1)[1])


@pytest.mark.parametrize("text", FAST)
def test_every_score(text: str, make_trial: Any, digits: Any) -> None:
    """Where the task's metric needs every score they are kept, the ranking is theirs, and nothing else changes; a
    backbone that says nothing of its images keeps the shares of train."""
    trial = make_trial(digits["train"], digits["test"][0][:50])
    asked = dataclasses.replace(trial, every_score=True)
    plain, full = (protocols.get(text).predict(each).predictions for each in (trial, asked))
    assert plain.scores is None
    assert full.scores.shape == (50, 10)
    np.testing.assert_array_equal(full.ranked, plain.ranked)
    np.testing.assert_array_equal(full.scores.argmax(axis=1), full.ranked[:, 0])
    np.testing.assert_allclose(full.scores.max(axis=1), full.confidence, rtol=1e-6)
    silent = dataclasses.replace(asked, informative=False)
    np.testing.assert_allclose(protocols.get(text).answer(silent).predictions.scores.sum(axis=1), 1, rtol=1e-6)
