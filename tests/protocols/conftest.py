"""Trials on real arrays: scikit-learn's digits, and MNIST and PneumoniaMNIST where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from ssl_bench import episodes
from ssl_bench.episodes import Draw, Episodes
from ssl_bench.protocols.base import Supply, Trial

Split = tuple[np.ndarray, np.ndarray]
MakeTrial = Callable[..., Trial]


class Arrays(Supply):
    """Features from memory, whatever the pooling; and the test labels, for drawing episodes alone."""

    def __init__(self, features: dict[str, np.ndarray], targets: np.ndarray | None = None) -> None:
        self.arrays, self.targets = features, targets

    def features(self, split: str, pooling: str, view: str) -> np.ndarray:
        return self.arrays[split]

    def episodes(self, how: Draw) -> Episodes:
        assert self.targets is not None
        return episodes.draw(self.targets, how)[0]


def trial_of(train: Split, test: np.ndarray, val: Split | None = None, classes: int = 10, seed: int = 0) -> Trial:
    """Return a trial on arrays: (features, labels) of train and val, and the features of test alone."""
    parts = {"train": train, "val": val} if val else {"train": train}
    features = {name: np.asarray(x, dtype=np.float32) for name, (x, _) in parts.items()}
    features["test"] = np.asarray(test, dtype=np.float32)
    return Trial(
        classes=classes,
        seed=seed,
        sizes={name: len(x) for name, x in features.items()},
        labels={name: np.asarray(y, dtype=np.int64) for name, (_, y) in parts.items()},
        supply=Arrays(features),
    )


@pytest.fixture
def make_trial() -> MakeTrial:
    return trial_of


@pytest.fixture(scope="session")
def digits() -> dict[str, Split]:
    """The 1,797 handwritten digits of scikit-learn, 8×8 pixels of 0 … 16, in their own order."""
    x, y = load_digits(return_X_y=True)
    return {"train": (x[:1000], y[:1000]), "val": (x[1000:1200], y[1000:1200]), "test": (x[1200:], y[1200:])}


@pytest.fixture
def mnist(real_data: Path) -> dict[str, Split]:
    with np.load(real_data / "mnist" / "mnist.npz") as data:
        return {name: (data[f"x_{name}"].reshape(-1, 784), data[f"y_{name}"]) for name in ("train", "test")}


@pytest.fixture
def pneumonia(real_data: Path) -> dict[str, Split]:
    with np.load(real_data / "pneumoniamnist" / "pneumoniamnist.npz") as data:
        names = ("train", "val", "test")
        return {n: (data[f"{n}_images"].reshape(-1, 784) / 255, data[f"{n}_labels"].ravel()) for n in names}
