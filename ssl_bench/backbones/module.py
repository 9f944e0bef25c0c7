"""A network of your own: `weights.name` is "your_package.module:factory", called with the card's [arch].

The factory returns a torch module with its weights in place. Its output, (images, dim), is the feature; from a map
(images, dim, height, width) the mean over height and width is taken, and the map serves as dense features.

A module that is given to `ssl_bench.run` has no name to be found by; what it is stands in its architecture as a digest.
"""

from __future__ import annotations

import copy
import importlib
import inspect
from collections.abc import Callable, Mapping
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
    frozen_unless_trained,
)
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.files import digest_json
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

    def __init__(self, card: ModelCard, network: nn.Module, arch: Mapping[str, Any] | None = None) -> None:
        self.network = freeze(network)
        self.input = card.input.applied_to(InputSpec(size=(224, 224), resize_to=256))
        self.default_pooling = choose_pooling(card, self.poolings, "output")
        self._arch = {"factory": card.weights.name, **card.arch} if arch is None else dict(arch)
        self._named = card.weights.name or card.name

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the module's output; raise UsageError where it is neither vectors nor maps."""
        assert self.network is not None
        return features_of_output(self.network(images), self._named)

    def arch(self) -> dict[str, Any]:
        """Return the factory's name and its arguments, or the digest of a module's code."""
        return {"class": type(self.network).__qualname__, **self._arch}


def given_backbone(card: ModelCard, network: nn.Module) -> ModuleBackbone:
    """Return a module as a backbone; a copy is frozen and moved, so that its owner may go on training."""
    return ModuleBackbone(card, copy.deepcopy(network), {"code": code_digest(network)})


def code_digest(network: nn.Module) -> str:
    """Return the sha256 (hex) of what a module does with its tensors: structure, plain settings, source of its classes.

    Functions that its classes call, and hooks, are not looked into.
    """
    settings = [
        [name, {key: repr(value) for key, value in sorted(vars(part).items()) if _is_setting(key, value)}]
        for name, part in network.named_modules()
    ]
    kinds = {f"{kind.__module__}.{kind.__qualname__}": _source(kind) for kind in map(type, network.modules())}
    return digest_json([repr(network), settings, kinds])


def _is_setting(key: str, value: Any) -> bool:
    return key[0] != "_" and key != "training" and isinstance(value, bool | int | float | str | tuple | list | None)


def _source(kind: type) -> str:
    """Return a class's source, or its bytecode where it was typed into an interpreter; "" for torch's own."""
    if kind.__module__.partition(".")[0] == "torch":
        return ""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        codes = [value.__code__ for value in vars(kind).values() if hasattr(value, "__code__")]
        return repr([(code.co_name, code.co_code, code.co_names, code.co_consts) for code in codes])


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
