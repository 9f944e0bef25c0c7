"""The attentive probe: schedule, choice, what attention can and a mean cannot, degenerate data, a whole run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ssl_bench import protocols, run
from ssl_bench.errors import DataError, UsageError
from ssl_bench.features import Rows
from ssl_bench.protocols import base
from ssl_bench.protocols.attentive_probe import Protocol
from ssl_bench.settings import Settings
from tests.protocols.real_trials import trial_of

SHORT = "attentive_probe,iterations=60,warmup=6,batch=64,learning_rates=0.001+0.01"


class Maps(base.Supply):
    """Maps from memory."""

    def __init__(self, maps: dict[str, np.ndarray]) -> None:
        self.maps = maps

    def dense(self, split: str, size: tuple[int, int] | None = None) -> Rows:
        found = self.maps[split].astype(np.float16)
        return Rows((found,), np.zeros(len(found), np.int64), np.arange(len(found)))


def trial_of_maps(
    maps: dict[str, np.ndarray], labels: dict[str, np.ndarray], classes: int = 2, seed: int = 0
) -> base.Trial:
    sizes = {split: len(found) for split, found in maps.items()}
    return base.Trial(classes=classes, seed=seed, sizes=sizes, labels=labels, supply=Maps(maps))


def test_the_schedule_by_hand() -> None:
    """As numpy.linspace gives both ends: from 0 to 1 in the warm-up, and from 1 to 0 after it."""
    recipe = Protocol(iterations=10, warmup=5)
    expected = [*np.linspace(0, 1, 5), *((np.cos(np.linspace(0, np.pi, 5)) + 1) / 2)]
    assert [recipe.share(step) for step in range(10)] == pytest.approx(expected, abs=1e-12)


def test_it_finds_the_token_that_tells() -> None:
    """One marked token in sixteen says the class, and the mean over tokens does not: the others outweigh it."""
    draw = np.random.default_rng(0)

    def maps(count: int) -> tuple[np.ndarray, np.ndarray]:
        tokens = draw.normal(size=(count, 16, 8))
        tokens[..., 0] = 0
        labels, places = draw.integers(0, 2, count), draw.integers(0, 16, count)
        tokens[:, :, 1] *= 8
        tokens[np.arange(count), places, 0] = 4
        tokens[np.arange(count), places, 1] = 4 * (2 * labels - 1)
        return tokens.transpose(0, 2, 1).reshape(count, 8, 4, 4), labels

    parts = {split: maps(count) for split, count in (("train", 600), ("val", 200), ("test", 200))}
    trial = trial_of_maps({k: v[0] for k, v in parts.items()}, {k: parts[k][1] for k in ("train", "val")})
    text = "attentive_probe,iterations=400,warmup=40,batch=64,learning_rates=0.01+0.1,weight_decays=0.001"
    answer = protocols.get(text).predict(trial)
    assert (answer.predictions.ranked[:, 0] == parts["test"][1]).mean() > 0.95  # type: ignore[attr-defined]
    mean = parts["test"][0].mean((2, 3))[:, 1]
    assert ((mean > 0) == parts["test"][1]).mean() < 0.7


def test_golden(own_settings: Settings) -> None:
    """The digits' network, 60 steps of 64 images: right answers of 360 up to rounding."""
    from ssl_bench.datasets import digits

    answer = protocols.get(SHORT).predict(trial_of(own_settings, "digits_vit"))
    truth = digits.load({}, own_settings.data)["test"].labels
    assert int((answer.predictions.ranked[:, 0] == truth).sum()) == pytest.approx(GOLDEN, abs=3)  # type: ignore[attr-defined]
    assert [row["learning_rate"] for row in answer.curve] == [0.001] * 3 + [0.01] * 3
    assert answer.at_grid_edge


GOLDEN = 294


def test_without_val_a_tenth_of_train_chooses() -> None:
    """The held-out samples are recorded, and the seed draws them."""
    draw = np.random.default_rng(0)
    trial = trial_of_maps(
        {"train": draw.normal(size=(40, 4, 2, 2)), "test": draw.normal(size=(3, 4, 2, 2))},
        {"train": np.arange(40) % 2},
    )
    assert protocols.get(SHORT).predict(trial).selected["selected_on"] == "4 samples of train"


def test_nothing_to_learn(make_trial: Any) -> None:
    """One class, maps that are not finite, a model without maps, and probes without bound are a line each."""
    maps = {"train": np.ones((4, 4, 2, 2)), "val": np.ones((2, 4, 2, 2)), "test": np.ones((2, 4, 2, 2))}
    labels = {"train": np.array([0, 1, 0, 1]), "val": np.array([0, 1])}
    with pytest.raises(DataError, match="needs two classes"):
        protocols.get(SHORT).predict(trial_of_maps(maps, {"train": np.zeros(4, np.int64)}))
    with pytest.raises(DataError, match="NaN or infinite"):
        protocols.get(SHORT).predict(trial_of_maps({**maps, "train": np.full((4, 4, 2, 2), np.nan)}, labels))
    with pytest.raises(UsageError, match="no dense features"):
        protocols.get(SHORT).predict(make_trial(([[0], [1]], [0, 1]), [[1]], val=([[0]], [0])))
    wild = SHORT.replace("0.001+0.01", "1e30")
    with pytest.raises(DataError, match="grew without bound"):
        protocols.get(wild).predict(trial_of_maps(maps, labels))


@pytest.mark.parametrize("field", ["iterations=0", "warmup=12500", "learning_rates=0", "weight_decays=-1", "holdout=1"])
def test_mistakes(field: str) -> None:
    """A recipe that cannot be followed is refused before anything is computed."""
    with pytest.raises(UsageError, match="attentive_probe: "):
        protocols.get(f"attentive_probe,{field}")


def test_a_whole_run(own_settings: Settings) -> None:
    """Names to a record; the maps pass the network once and are read from the cache the second time."""
    flags = {key: getattr(own_settings, key) for key in ("data", "cache", "results", "device", "workers", "progress")}
    outcome = run("digits_vit", task=["digits"], protocol=[SHORT], seeds=(0, 1), **flags)
    assert not outcome.failures
    first, second = outcome.written
    assert first.protocol.selected["selected_on"] == "val"
    assert (first.timing["images_extracted"], second.timing["images_extracted"]) == (1797, 0)
