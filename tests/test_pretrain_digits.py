"""The example that pre-trains the model of the repository."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext


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
