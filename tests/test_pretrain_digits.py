"""The example that pre-trains the model of the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ssl_bench import backbones, datasets, images, model_zoo, tasks
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.datasets.base import Split
from ssl_bench.files import digest_file


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "pretrain_digits.py"
    spec = importlib.util.spec_from_file_location("pretrain_digits", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loss_by_hand(example: ModuleType) -> None:
    """Two images whose views coincide and are orthogonal to each other: -log(e^(1/T) / (e^(1/T) + 2))."""
    views = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).repeat(2, 1)
    near = np.exp(1 / example.TEMPERATURE)
    assert example.contrast(views).item() == pytest.approx(-np.log(near / (near + 2)), abs=1e-5)


def test_training_is_decided_by_its_seed(example: ModuleType) -> None:
    """The same seed gives the same weights, another seed others."""
    digests = []
    for seed in (0, 0, 1):
        backbone = backbones.load(model_zoo.get("digits_vit"), LoadContext(untrained=True))
        pixels, _ = example.training_digits(backbone)
        assert pixels.shape == (1257, 1, 16, 16)
        example.pretrain(backbone, pixels[:300], steps=2, seed=seed)
        digests.append(backbone.weights_digest())
    assert digests[0] == digests[1] != digests[2]


def test_distortions_keep_the_shape(example: ModuleType) -> None:
    """A distorted batch has the shape of the batch and differs from it."""
    batch = torch.rand(5, 1, 16, 16) * 2 - 1
    assert example.distort(batch).shape == batch.shape
    assert not torch.equal(example.distort(batch), batch)


def scores(example: ModuleType, backbone: Backbone) -> tuple[float, float]:
    """Return the accuracies on the test digits of 20 neighbours and of scikit-learn's logistic regression."""
    splits = datasets.load(tasks.get("digits"), Path())
    features = {name: features_of(backbone, splits[name]) for name in ("train", "test")}
    train, test = splits["train"].labels, splits["test"].labels
    held = np.arange(len(train) + len(test)) >= len(train)
    neighbours = example.knn(np.concatenate([features["train"], features["test"]]), np.r_[train, test], held)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(features["train"], train)
    return neighbours, float(probe.score(features["test"], test))


def features_of(backbone: Backbone, split: Split) -> NDArray[np.float32]:
    seen = np.stack([images.pixels(images.decode(split.read(i), "digit"), backbone.input) for i in range(len(split))])
    batch = images.normalise(torch.from_numpy(seen), backbone.input)
    return backbone.forward(batch, backbone.default_pooling).pooled.numpy()


def test_shipped_weights_are_pinned_and_small() -> None:
    """The weights lie beside their card, are the ones that it pins, and weigh less than a megabyte."""
    card = model_zoo.get("digits_vit")
    path = model_zoo.weights_state(card).path
    assert path is not None
    assert path.stat().st_size == card.weights.bytes < 1_000_000
    assert digest_file(path) == card.weights.sha256


def test_shipped_model_has_learned(example: ModuleType) -> None:
    """On test digits the features beat raw pixels and the untrained network, by neighbours and by a linear probe."""
    card = model_zoo.get("digits_vit")
    learned = scores(example, backbones.load(card, LoadContext(model_zoo.weights_state(card).path)))
    pixels = scores(example, backbones.load(model_zoo.get("pixels")))
    untrained = scores(example, backbones.load(model_zoo.get("random:digits_vit")))
    assert learned[0] > pixels[0] > untrained[0]
    assert learned[1] > pixels[1] > untrained[1]
    assert min(learned) > 0.985
