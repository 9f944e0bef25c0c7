"""The sweep of linear heads on random crops: choice, batches, paper's variant, degenerate data, a whole run."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import protocols, run, scoring
from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Augmentation
from ssl_bench.predictions import Classes, Truth
from ssl_bench.protocols import _heads
from ssl_bench.protocols.base import Answer
from ssl_bench.results.describe import describe
from ssl_bench.settings import Settings
from tests.protocols.real_trials import trial_of

SHORT = "linear_sweep,iterations=30,batch=64"


def targets(settings: Settings) -> np.ndarray:
    from ssl_bench.datasets import digits

    return digits.load({}, settings.data)["test"].labels


def test_the_chosen_head_is_the_best_on_val(own_settings: Settings) -> None:
    """Of all features and rates the first with the best top-1 on val is reported, and named."""
    answer = protocols.get(SHORT).answer(trial_of(own_settings, "digits_vit", limit=300))
    assert [row["features"] for row in answer.curve[::13]] == [
        "cls",
        "cls+patch_mean",
        "cls_last4",
        "cls_last4+patch_mean",
    ]
    best = max(answer.curve, key=lambda row: row["val_top1"])
    assert answer.selected == {key: best[key] for key in ("features", "learning_rate")} | {"selected_on": "val"}
    assert answer.at_grid_edge == (best["learning_rate"] in (1e-5, 0.1))
    assert isinstance(answer.predictions, Classes)
    assert answer.predictions.probability


def test_golden(own_settings: Settings) -> None:
    """Pixels of the digits, 200 steps of 128 crops: the choice, and right answers of 360 up to rounding."""
    answer = protocols.get("linear_sweep,iterations=200,batch=128").answer(trial_of(own_settings))
    assert answer.selected == {"features": "pixels", "learning_rate": 0.1, "selected_on": "val"}
    assert isinstance(answer.predictions, Classes)
    assert int((answer.predictions.ranked[:, 0] == targets(own_settings)).sum()) == pytest.approx(283, abs=2)


def test_a_batch_does_not_depend_on_how_it_passes_the_network(
    own_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One batch of 60 in parts of 60 and of 6 images is the same batch, with the labels of its images."""
    trial = trial_of(own_settings)
    order = _heads.endless(1257, 120, seed=0)
    found = []
    for at_once in (128, 7):
        monkeypatch.setattr(_heads, "AT_ONCE", at_once)
        found.append(list(_heads.crops(trial, "linear_sweep", Augmentation(), order, 60, ("pixels",))))
    assert [len(batches) for batches in found] == [2, 2]
    for (one, labels), (other, _) in zip(*found, strict=True):
        torch.testing.assert_close(one["pixels"], other["pixels"])
        assert one["pixels"].shape == (60, 64)
        assert len(labels) == 60
    assert found[0][1][1].tolist() == trial.labels["train"][order[60:]].tolist()


def test_the_order_takes_every_sample_once_before_any_twice() -> None:
    """Draws are permutations of all samples, one after the other, and the seed decides."""
    order = _heads.endless(10, 25, seed=1)
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert len(order) == 25
    assert order.tolist() != _heads.endless(10, 25, seed=2).tolist()


def test_a_named_feature_is_the_only_one(own_settings: Settings) -> None:
    """A job that asks for a pooling gets heads on that one alone."""
    answer = protocols.get(SHORT).answer(trial_of(own_settings, "digits_vit", pooled="patch_mean", limit=60))
    assert {row["features"] for row in answer.curve} == {"patch_mean"}


def test_without_val_a_tenth_of_train_chooses(own_settings: Settings) -> None:
    """Samples that choose are no samples that train, and their number is recorded."""
    trial = trial_of(own_settings)
    whole = {key: value for key, value in trial.labels.items() if key != "val"}
    answer = protocols.get(SHORT).predict(dataclasses.replace(trial, labels=whole))
    assert answer.selected["selected_on"] == "126 samples of train"
    parts = _heads.parts(dataclasses.replace(trial, labels=whole), "linear_sweep", 0.1)
    assert parts.held is not None
    assert not set(parts.fitted) & set(parts.held)


def test_the_papers_variant_is_settled_by_scoring_alone(own_settings: Settings) -> None:
    """The protocol gives every head's answers; scoring takes the best on test and says so."""
    protocol = protocols.get(SHORT + ",variant=paper")
    answer = protocol.answer(trial_of(own_settings, limit=300))
    assert len(answer.candidates) == 13
    assert not answer.curve
    labels = trial_labels(own_settings, 300)
    settled = scoring.settled(answer, protocol, Truth({"test": labels}, 10), "top1")
    rights = [row["test_top1"] for row in settled.curve]
    assert isinstance(settled.predictions, Classes)
    assert (settled.predictions.ranked[:, 0] == labels).mean() == max(rights)
    assert settled.selected["selected_on"] == "the report set"
    assert settled.selected["candidate"] == settled.curve[int(np.argmax(rights))]["candidate"]


def trial_labels(settings: Settings, limit: int) -> Any:
    from ssl_bench.jobs import limited

    labels = targets(settings)
    return labels[limited(len(labels), limit)]


def test_only_a_recipe_that_says_so_may_let_test_labels_choose() -> None:
    """Candidates of a strict recipe are a mistake of ours, and never scored."""
    said = Classes(np.array([[0], [1]]), np.ones(2, np.float32))
    truth = Truth({"test": np.array([0, 1])}, 2)
    with pytest.raises(ValueError, match="does not say so"):
        scoring.settled(Answer(said, candidates={"a": said}), protocols.get("linear_sweep"), truth, "top1")
    plain = Answer(said)
    assert scoring.settled(plain, protocols.get("linear_sweep"), truth, "top1") is plain


def test_heads_that_grow_without_bound_are_never_chosen(own_settings: Settings) -> None:
    """A rate that diverges is told in the curve and passed over; if all do, the job fails in one line."""
    trial = trial_of(own_settings, limit=200)
    answer = protocols.get(SHORT + ",learning_rates=0.01+1e38").predict(trial)
    assert answer.curve[1]["diverged"]
    assert answer.selected["learning_rate"] == 0.01
    with pytest.raises(DataError, match="grew without bound"):
        protocols.get(SHORT + ",learning_rates=1e38").predict(trial)


def test_nothing_to_learn(own_settings: Settings, make_trial: Any) -> None:
    """One class, one sample per class without val, and features without a network are a line each."""
    protocol = protocols.get(SHORT)
    with pytest.raises(DataError, match="needs two classes"):
        protocol.predict(make_trial(([[0], [1]], [2, 2]), [[1]]))
    with pytest.raises(UsageError, match="none can be held out"):
        protocol.predict(make_trial(([[0], [1]], [0, 1]), [[1]]))
    with pytest.raises(UsageError, match="came without one"):
        protocol.predict(make_trial(([[0], [1]], [0, 1]), [[1]], val=([[0]], [0])))


def test_crops_that_are_not_finite(own_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that gives NaN for a crop ends the job in one line."""
    trial = trial_of(own_settings, limit=100)
    assert trial.backbone is not None
    broken = {"pixels": torch.full((64, 64), torch.nan)}
    monkeypatch.setattr(type(trial.backbone), "forward_all", lambda self, images, poolings: broken)
    with pytest.raises(DataError, match="a random crop of train has features that are NaN"):
        protocols.get(SHORT).predict(trial)


def test_held_out_samples_alone_pass_the_network(own_settings: Settings) -> None:
    """Features of some positions are those of the whole split there, and cost no more images than asked for."""
    trial = trial_of(own_settings, "digits_vit")
    positions = np.array([5, 1200, 3])
    some = trial.features("train", pooling="cls", positions=positions)
    assert trial.supply.cost.extracted == 3  # type: ignore[attr-defined]
    np.testing.assert_allclose(some, trial.features("train", pooling="cls")[positions], atol=1e-5)


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("iterations=0", "must be 1 or more"),
        ("batch=0", "must be 1 or more"),
        ("learning_rates=0.1+0", "must be above 0"),
        ("learning_rates=0.1+0.1", "must differ"),
        ("holdout=0", "between 0 and 1"),
        ("variant=lenient", "variant is 'lenient'"),
    ],
)
def test_mistakes(field: str, says: str) -> None:
    """A recipe that cannot be followed is refused before anything is computed."""
    with pytest.raises(UsageError, match=says):
        protocols.get(f"linear_sweep,{field}")


def test_a_whole_run(own_settings: Settings) -> None:
    """Names to records: strict and paper are two questions, and each record says who chose."""
    flags = {key: getattr(own_settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    words = [SHORT, SHORT + ",variant=paper"]
    outcome = run("pixels,size=8,channels=grey", task=["digits"], protocol=words, **flags)
    assert not outcome.failures
    strict, paper = outcome.written
    assert strict.question != paper.question
    assert (strict.protocol.selected["selected_on"], paper.protocol.selected["selected_on"]) == (
        "val",
        "the report set",
    )
    assert len(paper.protocol.curve) == 13
    assert "the report set" in describe(paper)
    [majority] = run("majority", task=["digits"], protocol=[SHORT], **flags).written
    assert majority.headline.value == pytest.approx(0.1, abs=0.01)
