"""A network of your own: `weights.name` is "your_package.module:factory", called with the card's [arch].

The factory returns a torch module with its weights in place. Its output, (images, dim), is the feature; from a map
(images, dim, height, width) the mean over height and width is taken, and the map serves as dense features.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    choose_pooling,
    features_of_output,
    freeze,
)
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the network that the factory makes; torch's generator stands at the seed while it does."""
    if context.untrained:
        raise UsageError(f"{card.name}: what a factory makes cannot be had untrained; write a second factory instead")
    factory = find_factory(card)
    try:
        network = build_seeded(lambda: factory(**card.arch), context.seed)
    except Exception as error:  # the factory is the user's own
        raise UsageError(f"{card.name}: {card.weights.name} raised {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise UsageError(f"{card.name}: {card.weights.name} returned a {type(network).__name__}, not a torch module")
    return ModuleBackbone(card, network)


class ModuleBackbone(Backbone):
    """A torch module whose output is the feature."""

    library = f"torch {torch.__version__}"
    poolings = ("output",)

    def __init__(self, card: ModelCard, network: nn.Module) -> None:
        self.network = freeze(network)
        self.input = card.input.applied_to(InputSpec(size=(224, 224), resize_to=256))
        self.default_pooling = choose_pooling(card, self.poolings, "output")
        self._arch = {"factory": card.weights.name, **card.arch}

    @torch.inference_mode()
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the module's output; raise UsageError where it is neither vectors nor maps."""
        assert self.network is not None
        return features_of_output(self.network(images), str(self._arch["factory"]))

    def arch(self) -> dict[str, Any]:
        """Return the factory's name and its arguments."""
        return {"class": type(self.network).__qualname__, **self._arch}


def find_factory(card: ModelCard) -> Callable[..., Any]:
    """Return the callable that `weights.name` names; raise UsageError where it is not there."""
    place, colon, name = card.weights.name.partition(":")
    if not colon:
        raise UsageError(f"{card.name}: weights.name is {card.weights.name!r}, not package.module:factory")
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{card.name}: {error.name} is not importable; install the package or put its folder on PYTHONPATH"
        ) from error
    if not callable(getattr(module, name, None)):
        raise UsageError(f"{card.name}: {place} has no callable {name!r}.{did_you_mean(name, dir(module))}")
    factory: Callable[..., Any] = getattr(module, name)
    return factory
