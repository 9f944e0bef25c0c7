"""Robustness: one fit, many test sets; some of the classes; the corruption error; a whole run with its record."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import datasets, metrics, protocols, run, scoring, tasks
from ssl_bench.cards import read_card
from ssl_bench.datasets import index
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Classes, Shifted, Truth
from ssl_bench.protocols.base import Answer, Trial
from ssl_bench.results.describe import describe
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.solvers import logistic
from ssl_bench.tasks import Shift, TaskCard
from tests.protocols.conftest import Arrays
from tests.protocols.real_trials import PIXELS

RECIPE = "c_low=-3,c_high=2,c_steps=6"
EVEN = (0, 2, 4, 6, 8)


@pytest.fixture
def trial(make_trial: Any, digits: Any) -> Trial:
    """The digits, asked of themselves, of ones whose pixels are scaled at random, and of the even of these."""
    plain = make_trial(digits["train"], digits["test"][0], digits["val"])
    images, labels = digits["test"]
    noisy = (images * np.random.default_rng(0).uniform(0, 2, images.shape)).astype(np.float32)
    arrays = plain.supply.arrays | {
        "noisy": noisy.astype(np.float32),
        "even": noisy[labels % 2 == 0].astype(np.float32),
    }
    return dataclasses.replace(
        plain,
        sizes={name: len(x) for name, x in arrays.items()},
        supply=Arrays(arrays),
        shifts={"noisy": (), "even": EVEN},
    )


def test_parity_with_scikit_learn(trial: Trial, digits: Any) -> None:
    """Every set's classes are scikit-learn's with the chosen C, and of even ones its largest even decision value."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    answer = protocols.get(f"robustness,{RECIPE}").predict(trial)
    said = answer.predictions
    assert isinstance(said, Shifted)
    x, y = (np.concatenate(pair) for pair in zip(digits["train"], digits["val"], strict=True))
    peer = make_pipeline(StandardScaler(), LogisticRegression(C=answer.selected["c"], tol=1e-10, max_iter=20_000))
    peer.fit(x.astype(np.float32), y)
    arrays = trial.supply.arrays  # type: ignore[attr-defined]
    for name, part in {"test": said.clean, "noisy": said.sets["noisy"]}.items():
        np.testing.assert_array_equal(part.ranked[:, 0], peer.predict(arrays[name]))
    values = peer.decision_function(arrays["even"])[:, EVEN]
    np.testing.assert_array_equal(said.sets["even"].ranked[:, 0], np.array(EVEN)[values.argmax(axis=1)])
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    np.testing.assert_allclose(said.sets["even"].confidence, 1 / shares.sum(axis=1), rtol=0.02)


def test_it_is_fitted_once_and_is_the_logistic_regression(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shifted sets add no fit, change no choice, and the clean answers are those of logistic_regression."""
    calls: list[int] = []
    path = logistic.path

    def counted(features: Any, *rest: Any, **named: Any) -> Any:
        calls.append(len(features))
        return path(features, *rest, **named)

    monkeypatch.setattr(logistic, "path", counted)
    plain = protocols.get(f"logistic_regression,{RECIPE}").predict(trial)
    alone, calls[:] = list(calls), []
    answer = protocols.get(f"robustness,{RECIPE}").predict(trial)
    assert calls == alone == [1000, 1200]
    assert (answer.selected, answer.curve) == (plain.selected, plain.curve)
    assert isinstance(answer.predictions, Shifted)
    assert isinstance(plain.predictions, Classes)
    np.testing.assert_array_equal(answer.predictions.clean.ranked, plain.predictions.ranked)


def test_golden(trial: Trial, digits: Any) -> None:
    """Right answers of 597 clean and 597 noised digits, and of the even ones."""
    said = protocols.get(f"robustness,{RECIPE}").predict(trial).predictions
    assert isinstance(said, Shifted)
    truth = digits["test"][1]
    right = [int((part.ranked[:, 0] == truth).sum()) for part in (said.clean, said.sets["noisy"])]
    assert [*right, int((said.sets["even"].ranked[:, 0] == truth[truth % 2 == 0]).sum())] == GOLDEN


GOLDEN = [548, 436, 260]


def classes(first: list[int]) -> Classes:
    return Classes(np.array(first)[:, None], np.ones(len(first), np.float32))


def test_scores_by_hand() -> None:
    """Errors of ¼ and ½ over references of ½ and ¾ are an mCE of (½ + ⅔) / 2; the mean top-1 is (¾ + ½) / 2."""
    said = Shifted(classes([0]), {"fog": classes([0, 1, 0, 0]), "snow": classes([1, 0])})
    labels = {"test": np.array([0]), "fog": np.zeros(4, np.int64), "snow": np.zeros(2, np.int64)}
    truth = Truth(labels, 2, normalisers={"fog": 0.5, "snow": 0.75})
    assert metrics.get("mce").score(said, truth)[:2] == (pytest.approx((1 / 2 + 2 / 3) / 2), 6)
    value, n, bounds = metrics.get("shift_top1").score(said, truth)
    assert (value, n) == (pytest.approx((3 / 4 + 1 / 2) / 2), 6)
    assert bounds is not None
    assert bounds[0] < value < bounds[1]
    assert not metrics.get("mce").applies(said, Truth(labels, 2))


def test_every_sample_of_every_set_is_answered() -> None:
    """A set with fewer answers than samples is refused, not scored."""
    said = Shifted(classes([0]), {"fog": classes([0, 1])})
    truth = Truth({"test": np.array([0]), "fog": np.zeros(3, np.int64)}, 2)
    with pytest.raises(DataError, match="2 predictions came back for 3"):
        scoring.score(Answer(said), truth, [metrics.get("shift_top1")])


def test_a_set_of_classes_that_train_lacks(trial: Trial) -> None:
    """Where train has no sample of any class that may be answered, nothing is answered; one of them is enough."""
    labels = {name: np.where(found == 9, 8, found) for name, found in trial.labels.items()}
    fewer = dataclasses.replace(trial, labels=labels, shifts={"even": (9,)})
    with pytest.raises(DataError, match="has a training sample"):
        protocols.get(f"robustness,{RECIPE}").predict(fewer)
    one = dataclasses.replace(trial, labels=labels, shifts={"even": (9, 4)})
    said = protocols.get(f"robustness,{RECIPE}").predict(one).predictions
    assert isinstance(said, Shifted)
    assert set(said.sets["even"].ranked[:, 0]) == {4}


def test_without_features_the_prior_among_the_classes(trial: Trial) -> None:
    """A backbone that says nothing gives every set the classes of train by frequency, of those that it may hold."""
    labels = {"train": np.array([9, 9, 9, 4, 4, 2, 1]), "val": np.array([0])}
    blind = dataclasses.replace(trial, labels=labels, informative=False)
    said = protocols.get("robustness").answer(blind).predictions
    assert isinstance(said, Shifted)
    assert said.clean.ranked[0].tolist() == [9, 4, 1, 2, 0]
    assert said.sets["even"].ranked[0].tolist() == [4, 2, 0, 6, 8]
    assert said.sets["even"].confidence[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "classification"}, 'if, and only if, its kind is "robustness"'),
        ({"shifts": {}}, 'if, and only if, its kind is "robustness"'),
        ({"metric": "top1"}, "one of shift_top1, mce"),
        ({"metric": "mce"}, "normaliser must be above 0"),
        ({"shifts": {"test": Shift({})}}, "cannot be called 'test'"),
        ({"shifts": {"odd": Shift({}, classes=(1, 10))}}, "different labels from 0 to 9"),
        ({"shifts": {"odd": Shift({}, classes=(1, 1))}}, "different labels from 0 to 9"),
    ],
)
def test_a_card_that_contradicts_itself(changes: dict[str, Any], says: str) -> None:
    """Kind, metric, names, classes and normalisers of shifts must fit each other."""
    fields = {"kind": "robustness", "metric": "shift_top1", "shifts": {"odd": Shift({})}} | changes
    with pytest.raises(UsageError, match=says):
        TaskCard(name="t", title="t", reader="npz", classes=10, **fields)


@pytest.fixture
def shelf(tmp_path: Path, digits: Any) -> Path:
    """A shelf with the task `noisy`: digits, and as shifts noised digits and noised even digits numbered 0 to 4."""
    images, labels = digits["test"]
    noise = np.random.default_rng(0).normal(0, 4, images.shape)
    pixels = {"x": digits["train"][0], "t": images, "n": np.clip(images + noise, 0, 16)}
    pixels["e"] = pixels["n"][labels % 2 == 0]
    arrays = {name: (x * 15.9).astype(np.uint8).reshape(-1, 8, 8) for name, x in pixels.items()}
    marks = {"ly": digits["train"][1], "lt": labels, "le": labels[labels % 2 == 0] // 2}
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "digits.npz", **arrays, **marks)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "noisy.toml").write_text(
        """
title = "Digits, noised"
reader = "npz"
classes = 10
kind = "robustness"
metric = "shift_top1"
[data]
path = "digits.npz"
splits = { train = { images = "x", labels = "ly" }, test = { images = "t", labels = "lt" } }
[shifts.noise]
normaliser = 0.5
data = { path = "digits.npz", splits = { test = { images = "n", labels = "lt" } } }
[shifts.even]
classes = [0, 2, 4, 6, 8]
normaliser = 0.25
data = { path = "digits.npz", splits = { test = { images = "e", labels = "le" } } }
""",
        encoding="utf-8",
    )
    return tmp_path


def test_a_whole_run(shelf: Path, own_settings: Settings) -> None:
    """The record holds each set's top-1 with its own number of samples; the table holds every answer of every set."""
    settings = dataclasses.replace(own_settings, data=shelf / "data")
    flags = {key: getattr(settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    words = [f"robustness,{RECIPE}"]
    outcome = run([PIXELS, "majority"], tasks=[str(shelf / "tasks" / "noisy.toml")], protocols=words, **flags)
    assert not outcome.failures
    record = outcome.written[0]
    even = record.task.samples["even"]
    assert record.task.samples == {"train": 1000, "test": 597, "noise": 597, "even": even}
    counts = {name: metric.n for name, metric in record.metrics.items()}
    assert counts == {
        "shift_top1": 597 + even,
        "mce": 597 + even,
        "test/top1": 597,
        "test/ece": 597,
        "noise/top1": 597,
        "noise/ece": 597,
        "even/top1": even,
        "even/ece": even,
    }
    value = {name: metric.value for name, metric in record.metrics.items()}
    assert record.headline.value == pytest.approx((value["noise/top1"] + value["even/top1"]) / 2)
    assert value["mce"] == pytest.approx(((1 - value["noise/top1"]) / 0.5 + (1 - value["even/top1"]) / 0.25) / 2)
    samples = Results(settings.results).read_samples(record)
    for name in ("test", "noise", "even"):
        here = np.array(samples["set"]) == name
        assert (samples["pred"][here] == samples["target"][here]).mean() == pytest.approx(value[f"{name}/top1"])
    assert set(samples["pred"][np.array(samples["set"]) == "even"]) <= set(EVEN)
    assert "even/top1" in describe(record)


def test_only_robustness_asks_shifted_sets(shelf: Path, own_settings: Settings) -> None:
    """Another protocol is refused on such a task, and robustness on a task without shifts, in a line each."""
    flags = {key: getattr(own_settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    with pytest.raises(UsageError, match="knn cannot ask the task 'noisy', which is of the kind 'robustness'"):
        run(PIXELS, tasks=[str(shelf / "tasks" / "noisy.toml")], protocols=["knn"], **flags)
    with pytest.raises(UsageError, match="robustness cannot ask the task 'digits'"):
        run(PIXELS, tasks=["digits"], protocols=["robustness"], **flags)


def test_what_a_shift_means_is_in_the_digest(shelf: Path, tmp_path: Path) -> None:
    """Other classes among which to answer, or another normaliser, ask another question."""
    card = read_card(shelf / "tasks" / "noisy.toml", TaskCard)
    roles = index.build(card, shelf / "data", tmp_path / "cache").roles
    other = dataclasses.replace(card.shifts["noise"], normaliser=0.4)
    changed = dataclasses.replace(card, shifts={**card.shifts, "noise": other})
    assert index.task_digest(card, roles) != index.task_digest(changed, roles)
    assert index.lookup(card, shelf / "data", tmp_path / "cache") is not None
    assert index.lookup(changed, shelf / "data", tmp_path / "cache") is None


def test_a_task_without_shifts_keeps_its_digest(tmp_path: Path) -> None:
    """What the digits ask has the digest that it had before there were shifts."""
    digest = index.build(tasks.get("digits"), tmp_path, tmp_path / "cache").task_digest
    assert digest == "858f4189340770bfdbddd982fd3745e4bf8d2149a9ed7ec9c6408d59433a8e31"


def test_a_class_under_another_label_is_refused(tmp_path: Path, digits: Any) -> None:
    """Where a folder of the shifted set lacks, the later classes would take wrong labels: an error names the first."""
    from PIL import Image

    for part, names in (("base/train", "abc"), ("base/test", "abc"), ("shift/test", "ac")):
        for number, name in enumerate(names):
            place = tmp_path / part / name
            place.mkdir(parents=True)
            pixels = digits["train"][0][number].reshape(8, 8).astype(np.uint8)
            Image.fromarray(pixels + len(part)).save(place / "1.png")
    card = TaskCard(
        name="t",
        title="t",
        reader="image_folder",
        classes=3,
        kind="robustness",
        metric="shift_top1",
        data={"path": "base"},
        shifts={"s": Shift({"path": "shift"})},
    )
    with pytest.raises(DataError, match=r"the shift s has .* classes|has the class 'c' where the card says label 1"):
        datasets.load(card, tmp_path)
    right = dataclasses.replace(card, shifts={"s": Shift({"path": "shift"}, classes=(0, 2))})
    assert datasets.load(right, tmp_path)["s"].labels.tolist() == [0, 2]
    wrong = dataclasses.replace(card, shifts={"s": Shift({"path": "shift"}, classes=(0, 1))})
    with pytest.raises(DataError, match="has the class 'c' where the card says label 1"):
        datasets.load(wrong, tmp_path)


@pytest.mark.data
def test_lossless_cifar10(real_data: Path) -> None:
    """The task of lossless images has 242 of them, none of which is an image of train or test."""
    card = tasks.get("cifar10_jpeg_lossless")
    roles = datasets.load(card, real_data)
    assert {role: len(split) for role, split in roles.items()} == {"train": 50000, "test": 10000, "lossless": 242}
    assert sorted(np.unique(roles["lossless"].labels)) == list(range(10))
