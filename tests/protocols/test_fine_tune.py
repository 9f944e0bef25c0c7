"""Fine-tuning of a real network on the digits: the order of images, what is reported, choice, few labels, going on."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import protocols, scoring
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes, Truth
from ssl_bench.protocols import _candidates, _recipes, _tuning
from ssl_bench.protocols.base import Answer, Trial
from ssl_bench.settings import Settings
from tests.protocols.real_trials import trial_of

SHORT = "fine_tune,steps=6,batch=16,warmup=0,rate=0.01,layer_decay=0.9"
GRID = "fine_tune,recipe=kornblith,steps=4,batch=16,rate=0.1+0.001,decay=0"


def small(settings: Settings, seed: int = 0, limit: int = 120) -> Trial:
    return trial_of(settings, "digits_vit", seed=seed, limit=limit)


def asked(text: str, trial: Trial) -> Answer:
    return protocols.get(text).answer(trial)


def said(answer: Answer) -> Classes:
    assert isinstance(answer.predictions, Classes)
    return answer.predictions


def without_val(trial: Trial) -> Trial:
    """Return a trial whose task has no val."""
    labels = {"train": trial.labels["train"]}
    return dataclasses.replace(trial, labels=labels, sizes={k: v for k, v in trial.sizes.items() if k != "val"})


def images_of(trial: Trial, batch: int, pool: _tuning.Pool | None = None, **recipe: Any) -> _tuning.Images:
    resolved = _recipes.recipe("mae", batch=batch, **recipe)
    return _tuning.Images(trial, pool or [("train", np.arange(trial.sizes["train"]))], resolved, steps=8)


@pytest.fixture
def trial(own_settings: Settings) -> Trial:
    return small(own_settings)


def test_an_epoch_takes_every_image_at_most_once(trial: Trial) -> None:
    """An epoch is as many whole batches as there are; the order is another in the next epoch and for another seed."""
    images = images_of(trial, 50)
    epochs = [np.concatenate([images.members(2 * epoch), images.members(2 * epoch + 1)]) for epoch in (0, 1)]
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 100
    assert epochs[0].tolist() != epochs[1].tolist()
    other = dataclasses.replace(images, trial=dataclasses.replace(trial, seed=1))
    assert other.members(0).tolist() != images.members(0).tolist()


def test_fewer_images_than_a_batch_pass_as_often(own_settings: Settings) -> None:
    """Permutations follow each other: 50 images in batches of 64 are seen 64 / 50 times a step, none twice as often."""
    images = images_of(small(own_settings, limit=50), 64)
    seen = np.concatenate([images.members(step) for step in range(25)])
    assert np.bincount(seen).tolist() == [32] * 50
    recipe = _recipes.recipe("mae", batch=64, epochs=32.0, warmup=6.4)
    assert _tuning.steps_of(recipe, 50) == (25, 5)
    assert _tuning.steps_of(_recipes.recipe("mae"), 1_281_167) == (125_100, 6_255)


def test_what_stands_at_a_place_depends_on_step_and_place_alone(trial: Trial) -> None:
    """Neither the first step nor the other places nor the size of parts changes an image or a label."""
    images = images_of(trial, 12)

    def first(parts: Iterator[tuple[Any, Any]], count: int) -> tuple[torch.Tensor, list[int]]:
        found = [next(parts) for _ in range(count)]
        return torch.cat([part for part, _ in found]), torch.cat([labels for _, labels in found]).tolist()

    whole, labels = first(images(0, range(12), 12), 3)
    for start, places, size, count in ((0, range(12), 5, 9), (1, range(12), 12, 2), (0, [1, 10], 1, 6)):
        rows = [step * 12 + place for step in range(start, 3) for place in places]
        found, marks = first(images(start, places, size), count)
        torch.testing.assert_close(found, whole[rows], rtol=0, atol=0)
        assert marks == [labels[row] for row in rows]


def test_workers_change_no_image(own_settings: Settings) -> None:
    """Threads that decode and augment give what no thread gives, erased rectangles included."""
    found = []
    for workers in (0, 3):
        trial = small(dataclasses.replace(own_settings, workers=workers))
        found.append(next(images_of(trial, 64, erase=1.0)(0, range(64), 64))[0])
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_train_and_val_are_mixed(trial: Trial) -> None:
    """What is trained on may lie in two splits: each image comes with its own label, in one order."""
    pool = [("train", np.array([5, 9, 2])), ("val", np.array([0, 7]))]
    images = images_of(trial, 5, pool, crop=0.0)
    found, labels = next(images(0, range(5), 5))
    members = images.members(0)
    whole = [(split, position) for split, positions in pool for position in positions]
    for image, label, member in zip(found, labels, members, strict=True):
        split, position = whole[member]
        [plain] = trial.batches(split, None, np.array([position]), 1)
        torch.testing.assert_close(image, plain[0])
        assert int(label) == trial.labels[split][position]


def test_the_last_step_is_reported_and_val_watches(trial: Trial) -> None:
    """strict reports the network after the last step; each row of the curve has loss, rate and what val said."""
    answer = asked(SHORT, trial)
    assert not answer.candidates
    assert [row["step"] for row in answer.curve] == [1, 2, 3, 4, 5, 6]
    assert all({"epoch", "train_loss", "rate", "val_top1", "val_loss"} < row.keys() for row in answer.curve)
    assert answer.selected["resolved"]["peak_rate"] == pytest.approx(0.01 * 16 / 256)
    assert answer.selected["resolved"]["pooling"] == "patch_mean"
    assert answer.cost["images_trained"] == 96
    assert said(answer).probability
    assert (answer.converged, answer.at_grid_edge) == (None, None)


def test_training_helps(own_settings: Settings) -> None:
    """Sixty steps on the digits give most of them, where chance gives a tenth, and the loss falls."""
    trial = trial_of(own_settings, "digits_vit")
    answer = asked("fine_tune,recipe=vtab1k_full,steps=60,batch=32,warmup=0,rate=0.01,decay=0", trial)
    from ssl_bench.datasets import digits

    targets = digits.load({}, own_settings.data)["test"].labels
    assert (said(answer).ranked[:, 0] == targets).mean() > 0.85
    assert answer.curve[-1]["train_loss"] < answer.curve[0]["train_loss"] / 2


def test_a_run_is_repeated_and_another_seed_is_another(own_settings: Settings) -> None:
    """The same seed gives the same confidences to the last bit, another seed others."""
    found = [said(asked(SHORT, small(own_settings, seed))).confidence for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].tolist() != found[2].tolist()


def test_the_backbone_is_left_as_it_was(trial: Trial) -> None:
    """Jobs after fine-tuning find the network that was loaded."""
    assert trial.backbone is not None
    before, features = trial.backbone.weights_digest(), trial.features("test")
    asked(SHORT, trial)
    assert trial.backbone.weights_digest() == before
    np.testing.assert_array_equal(trial.features("test"), features)


class Interruption(Exception):
    """Ends a run from outside."""


def test_a_run_that_was_ended_goes_on(own_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the middle of the reported run, the same command ends with the same answer and curve."""
    trial = dataclasses.replace(small(own_settings), state=tmp_path / "state", choice=tmp_path / "choice.json")
    undisturbed = asked(SHORT, small(own_settings))
    monkeypatch.setattr(_tuning, "train", functools.partial(_tuning.train, keep_seconds=0))
    own, calls = _tuning.measured, []

    def once(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:
            raise Interruption
        return own(*arguments)

    monkeypatch.setattr(_tuning, "measured", once)
    with pytest.raises(Interruption):
        asked(SHORT, trial)
    assert list((tmp_path / "state").iterdir())
    answer = asked(SHORT, trial)
    assert len(calls) == 4 + 3
    np.testing.assert_array_equal(said(answer).confidence, said(undisturbed).confidence)
    assert answer.curve == undisturbed.curve


def test_another_recipe_does_not_go_on_from_a_state(trial: Trial, tmp_path: Path) -> None:
    """A state of another recipe is refused in one line that says what to remove."""
    kept = dataclasses.replace(trial, state=tmp_path)
    asked(SHORT, kept)
    with pytest.raises(UsageError, match=r"run\.pt is the state of a run with another recipe") as caught:
        asked(SHORT.replace("rate=0.01", "rate=0.02"), kept)
    assert "\n" not in str(caught.value)


def test_the_best_pair_on_val_is_trained_on_both(trial: Trial) -> None:
    """A grid has a row for each pair, the best on val is named, and the reported run learns from train and val."""
    answer = asked(GRID, trial)
    rows = answer.curve[:2]
    assert [(row["rate"], row["decay"]) for row in rows] == [(0.1, 0.0), (0.001, 0.0)]
    best = max(rows, key=lambda row: row["val_top1"])
    assert (answer.selected["rate"], answer.selected["selected_on"]) == (best["rate"], "val")
    assert answer.selected["resolved"]["samples"] == 240
    assert not any("val_top1" in row for row in answer.curve[2:])
    assert (answer.converged, answer.at_grid_edge) == (True, True)


def test_seeds_share_the_choice(own_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seed 1 chooses what seed 0 chose, without a run of its own, whichever of them comes first."""
    choices = []
    for order in ((0, 1), (1, 0)):
        path = tmp_path / f"{order}.json"
        for seed in order:
            trial = dataclasses.replace(small(own_settings, seed), choice=path)
            asked(GRID, trial)
        choices.append(path.read_text())
    assert choices[0] == choices[1]
    monkeypatch.setattr(_candidates, "_measured", lambda *_: pytest.fail("a candidate was trained again"))
    asked(GRID, dataclasses.replace(small(own_settings, 2), choice=path))


def test_candidates_that_were_tried_are_not_tried_again(trial: Trial, tmp_path: Path) -> None:
    """Rows found before a run was ended are taken as they are, and what is kept of a candidate goes with it."""
    path = tmp_path / "choice.json"
    path.write_text(json.dumps([{"rate": 0.1, "decay": 0.0, "val_top1": 1.0, "val_loss": 0.5}]))
    answer = asked(GRID, dataclasses.replace(trial, choice=path, state=tmp_path / "state"))
    assert answer.curve[0]["val_top1"] == 1.0
    assert answer.selected["rate"] == 0.1
    assert len(json.loads(path.read_text())) == 2
    assert [found.name for found in (tmp_path / "state").iterdir()] == ["run.pt"]


def test_a_candidate_that_diverges_is_never_chosen(trial: Trial) -> None:
    """A rate at which the loss is no number is marked, and another is taken; where all are such, that is said."""
    wild = "fine_tune,recipe=kornblith,steps=12,batch=16,decay=0,rate="
    answer = asked(f"{wild}1e30+0.01", trial)
    assert answer.curve[0] == {"rate": 1e30, "decay": 0.0, "diverged": True}
    assert answer.selected["rate"] == 0.01
    assert answer.converged is False
    with pytest.raises(DataError, match="the loss of every candidate was no number"):
        asked(f"{wild}1e30+1e31", trial)
    with pytest.raises(UsageError, match="rate below") as caught:
        asked(f"{wild}1e30", trial)
    assert "\n" not in str(caught.value)


def test_without_val_a_part_of_train_chooses(trial: Trial) -> None:
    """A fifth of every class chooses, and the reported run learns from all of train."""
    answer = asked(GRID, without_val(trial))
    assert answer.selected["selected_on"].endswith("samples of train")
    assert answer.selected["resolved"]["samples"] == 120


def test_a_class_that_val_lacks_is_told(trial: Trial) -> None:
    """Val without a class still chooses; the record says which class it has no sample of."""
    labels = {**trial.labels, "val": np.where(trial.labels["val"] == 3, 4, trial.labels["val"])}
    answer = asked(GRID, dataclasses.replace(trial, labels=labels))
    assert answer.selected["absent_there"] == [3]


def test_the_papers_variant_takes_the_best_epoch_on_test(trial: Trial) -> None:
    """paper gives the answers of every epoch, of which scoring takes the best on test, and says so."""
    protocol = protocols.get("fine_tune,variant=paper,epochs=3,batch=40,warmup=0,rate=0.01")
    answer = protocol.answer(trial)
    assert protocol.selects_on_test
    assert list(answer.candidates) == ["epoch=1", "epoch=2", "epoch=3"]
    truth = Truth({"test": np.random.default_rng(0).integers(0, 10, trial.sizes["test"])}, 10)
    settled = scoring.settled(answer, protocol, truth, "top1")
    assert settled.selected["selected_on"] == "the report set"
    np.testing.assert_array_equal(answer.candidates["epoch=3"].confidence, said(answer).confidence)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("field", "other"), [("fraction=0.1", "low_shot"), ("shots=2", "few_shot_logistic,shots=2")])
def test_supports_are_those_of_the_frozen_protocols(field: str, other: str, own_settings: Settings) -> None:
    """Fine-tuning on few labels learns from the very images that logistic regression on them does."""
    trial = trial_of(own_settings, "digits_vit", seed=1, limit=300)
    answer = asked(f"{SHORT},{field}", trial)
    few = ",also=0.1" if "fraction" in field else ",also=1"
    twin = asked(f"{other}{few},c_low=0,c_high=0,c_steps=1", trial)
    assert answer.selected["support"] == twin.selected["support"]
    assert answer.selected["resolved"]["samples"] < 40


def test_few_labels_choose_within_themselves(trial: Trial) -> None:
    """A grid on few labels holds a part of them out, though val is there, and learns from no other image."""
    answer = asked(f"{GRID},shots=4", trial)
    assert answer.selected["selected_on"] == "10 samples of train"
    assert answer.selected["resolved"]["samples"] == 40


def test_lower_precision_is_the_jobs(trial: Trial) -> None:
    """The precision is what the job asks for, in training and in what is reported."""
    found = asked(SHORT, dataclasses.replace(trial, precision="bfloat16"))
    assert found.selected["resolved"]["precision"] == "bfloat16"
    assert said(found).confidence.tolist() != said(asked(SHORT, trial)).confidence.tolist()


def test_a_model_without_a_network(own_settings: Settings) -> None:
    """Pixels are refused in one line."""
    with pytest.raises(UsageError, match="fine_tune trains a network, and this model has none"):
        asked(SHORT, trial_of(own_settings, limit=60))
