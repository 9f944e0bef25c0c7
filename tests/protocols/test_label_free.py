"""Without labels: rotations told, and the spectrum, on the digits and by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from ssl_bench import metrics, protocols, scoring
from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Truth
from ssl_bench.protocols.base import FloatArray, Supply, Trial
from ssl_bench.solvers import spectrum

TURNS = {"": 0, "rot90": 1, "rot180": 2, "rot270": 3}


@dataclasses.dataclass(frozen=True)
class Pixels(Supply):
    """Images (images, height, width) per split, whose features are their pixels."""

    images: dict[str, np.ndarray]

    def features(self, split: str, pooling: str, view: str) -> FloatArray:
        turned = np.rot90(self.images[split], TURNS[view], (1, 2))
        return np.ascontiguousarray(turned.reshape(len(turned), -1), dtype=np.float32)


def trial_of(train: Any, test: Any, seed: int = 0) -> Trial:
    """Return a trial of an unlabelled task: no classes, and no label that means anything."""
    images = {"train": np.asarray(train), "test": np.asarray(test)}
    sizes = {name: len(part) for name, part in images.items()}
    return Trial(classes=0, seed=seed, sizes=sizes, labels={"train": np.zeros(len(train))}, supply=Pixels(images))


@pytest.fixture
def images(digits: Any) -> dict[str, np.ndarray]:
    return {name: digits[name][0].reshape(-1, 8, 8)[:300] for name in ("train", "test")}


def test_solved_by_hand() -> None:
    """An image bright at its top is told in all four turns; one that turns into itself is told in one of four."""
    draw = np.random.default_rng(0).random((40, 2, 2)) / 10
    clear, alike = draw + np.array([[9, 9], [0, 0]]), np.full((2, 2, 2), 0.5)
    fast = "label_free,c_low=0,c_steps=1,c_high=0"
    answer = protocols.get(fast).predict(trial_of(clear, clear[:5]))
    assert answer.predictions.values["rotation_accuracy"] == 1
    assert [answer.predictions.basis[f"turn_{90 * turn}"].tolist() for turn in range(4)] == [[t] * 5 for t in range(4)]
    answer = protocols.get(fast).predict(trial_of(clear, alike))
    assert answer.predictions.values["rotation_accuracy"] == 0.25


def test_parity_with_scikit_learn(images: dict[str, np.ndarray]) -> None:
    """At one C the turns of every view are those that scikit-learn's logistic regression tells."""
    found = protocols.get("label_free,c_low=-2,c_steps=1,c_high=-2").predict(trial_of(images["train"], images["test"]))
    views = {
        name: [np.rot90(part, turn, (1, 2)).reshape(len(part), -1) for turn in range(4)]
        for name, part in images.items()
    }
    x = np.concatenate(views["train"])
    deviation = np.where(x.std(axis=0) > 0, x.std(axis=0), 1)
    peer = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000)
    peer.fit((x - x.mean(axis=0)) / deviation, np.repeat(np.arange(4), len(images["train"])))
    for turn, view in enumerate(views["test"]):
        expected = peer.predict((view - x.mean(axis=0)) / deviation)
        np.testing.assert_array_equal(found.predictions.basis[f"turn_{90 * turn}"], expected)


def test_golden(images: dict[str, np.ndarray]) -> None:
    """The turns of 300 digits in raw pixels, their C chosen on held-out images, and the spectrum of 300 others."""
    answer = protocols.get("label_free").predict(trial_of(images["train"], images["test"]))
    assert answer.predictions.values == pytest.approx(GOLDEN, abs=1e-3)
    best = int(np.argmax([row["val_accuracy"] for row in answer.curve]))
    assert answer.selected["c"] == answer.curve[best]["c"]
    assert best + 3 <= len(answer.curve) <= 9
    assert answer.converged
    singular = answer.predictions.basis["singular_value"]
    assert spectrum.rankme(singular) == answer.predictions.values["rankme"]


GOLDEN = {"rotation_accuracy": 0.79, "rankme": 26.370, "effective_rank": 17.130, "alpha_req": 2.3057}


def test_scores_and_table(images: dict[str, np.ndarray]) -> None:
    """The scores are the protocol's values, the accuracy with an interval over images; the table gives them again."""
    answer = protocols.get("label_free,c_steps=2").predict(trial_of(images["train"], images["test"]))
    truth = Truth({"test": np.zeros(300, dtype=np.int64)}, 0)
    scored = scoring.scored_by(answer, truth, "rotation_accuracy")
    values = scoring.score(answer, truth, scored)
    assert {name: metric.value for name, metric in values.items()} == pytest.approx(answer.predictions.values)
    assert values["rotation_accuracy"].interval is not None
    assert {metric.n for metric in values.values()} == {300}
    assert {name: part.unit for name, part in scoring.definitions(scored, 0).items()} == {
        "rotation_accuracy": "fraction",
        "rankme": "dimensions",
        "effective_rank": "dimensions",
        "alpha_req": "exponent",
    }
    table = answer.predictions.table([], truth)
    assert {len(column) for column in table.values()} == {300}
    assert np.isfinite(table["singular_value"]).sum() == 64


def test_a_large_train_is_drawn_from(images: dict[str, np.ndarray]) -> None:
    """At most `turned` and `spread` images count, and the seed draws them."""
    text = "label_free,turned=50,spread=60,c_steps=1"
    first, other = (protocols.get(text).predict(trial_of(images["train"], images["test"], seed)) for seed in (0, 1))
    assert len(first.predictions.basis["singular_value"]) == 60
    assert first.selected["images"] == 60
    assert first.predictions.values["rankme"] != other.predictions.values["rankme"]


def test_nothing_seen() -> None:
    """A backbone that says nothing tells a quarter of the turns and has no spectrum."""
    trial = trial_of(np.zeros((3, 2, 2)), np.zeros((5, 2, 2)))
    object.__setattr__(trial, "informative", False)
    answer = protocols.get("label_free").answer(trial)
    assert answer.predictions.values == {"rotation_accuracy": 0.25}
    truth = Truth({"test": np.zeros(5, dtype=np.int64)}, 0)
    assert [metric.name for metric in scoring.scored_by(answer, truth, "rotation_accuracy")] == ["rotation_accuracy"]
    assert metrics.get("rotation_accuracy").chance(0) == 0.25


def test_few_dimensions_have_no_slope() -> None:
    """Where there are too few eigenvalues for a power law, α is left out."""
    draw = np.random.default_rng(0).random((30, 3, 3))
    assert "alpha_req" not in protocols.get("label_free,c_steps=1").predict(trial_of(draw, draw)).predictions.values


def test_mistakes() -> None:
    """Features without spread, one image, and a recipe that cannot be are one clear line."""
    with pytest.raises(DataError, match="the same, whatever the image"):
        protocols.get("label_free").predict(trial_of(np.ones((9, 2, 2)), np.ones((2, 2, 2))))
    with pytest.raises(DataError, match="needs two train images"):
        protocols.get("label_free").predict(trial_of(np.ones((1, 2, 2)), np.ones((2, 2, 2))))
    for text in ("turned=1", "c_steps=0", "holdout=1", "alpha_first=100", "patience=0"):
        with pytest.raises(UsageError, match="label_free: "):
            protocols.get(f"label_free,{text}")
