"""Controls: pixels, an untrained network, training labels alone."""

from __future__ import annotations

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import UsageError


def load(text: str, **context: object) -> Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(**context))  # type: ignore[arg-type]


def test_pixels_are_the_image() -> None:
    """The feature is the image in 0..1, flattened; the card and the command line may say another size."""
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(load("pixels").forward(images, "pixels").pooled, images.flatten(1))
    spec = load("pixels,size=28,channels=grey").input
    assert (spec.size, spec.channels, spec.mean, spec.std) == ((28, 28), "grey", (0.0,), (1.0,))
    assert load("pixels").weights_digest() == load("pixels:").weights_digest()


def test_majority_says_nothing_of_the_image() -> None:
    """The feature is one constant, marked as uninformative."""
    backbone = load("majority")
    assert not backbone.informative
    assert torch.equal(backbone.forward(torch.rand(2, 3, 8, 8), "constant").pooled, torch.ones(2, 1))


def test_random_has_the_input_and_shape_of_its_model() -> None:
    """An untrained network has the input, poolings and architecture of the card that it names; the seed is its own."""
    control, own = load("random:cifar_resnet20", seed=1), load("random:cifar_resnet20", seed=2)
    assert control.input.size == (32, 32)
    assert control.poolings == ("gap",)
    assert control.arch() == {
        "class": "Random",
        "of": {"class": "CifarResNet", "family": "cifar_resnet", "depth": 20},
        "seed": 1,
    }
    assert control.weights_digest() != own.weights_digest()
    assert control.weights_digest() == load("random:cifar_resnet20", seed=1).weights_digest()


def test_random_never_reads_or_fetches_weights() -> None:
    """A control of a model whose weights are not here runs offline, in a size of its own."""
    control = load("random:timm:resnet10t,size=48", offline=True)
    assert control.input.size == (48, 48)
    assert control.forward(torch.rand(1, 3, 48, 48), "gap").pooled.shape == (1, 512)


def test_random_of_nothing() -> None:
    """A control needs a network: none, or another control, is refused."""
    for text, said in (("random:", "name the card"), ("random:pixels", "is a control itself")):
        with pytest.raises(UsageError, match=said):
            load(text)
