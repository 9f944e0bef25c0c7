"""Ways of getting a network: one module per adapter, imported only when a card names it.

An adapter is a module of this package with `load(card, context) -> Backbone`, or any "package.module:name" that takes
the same two arguments and returns a Backbone.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ssl_bench.backbones.base import Backbone, LoadContext, check_digest
from ssl_bench.errors import UsageError, did_you_mean, missing_package
from ssl_bench.model_zoo import ADAPTERS, ModelCard

if TYPE_CHECKING:
    from torch import nn

Loader = Callable[[ModelCard, LoadContext], Backbone]
PACKAGES = {
    "timm": ("timm", ""),
    "open_clip": ("open_clip_torch", ""),
    "torchvision": ("torchvision", ""),
    "torch": ("torch", ""),
    "onnx": ("onnx", "onnx"),
    "transformers": ("transformers", "huggingface"),
    "onnxruntime": ("onnxruntime", "onnx"),
}
"""Library that an adapter imports; the name under which pip installs it, and our extra that brings it."""


def load(card: ModelCard, context: LoadContext | None = None) -> Backbone:
    """Return the card's network, frozen, with its weights.

    Raises UsageError for an unknown adapter, a file that the card does not pin or that does not fit, and MissingError
    for weights or a package that is not here.
    """
    context = context or LoadContext()
    if context.weights_path is not None and not context.untrained:
        check_digest(card, context.weights_path)
    untrained = dataclasses.replace(context, untrained=True, weights_path=None)
    context = dataclasses.replace(context, load_untrained=lambda other: load(other, untrained))
    return find_adapter(card)(card, context)


def given(card: ModelCard, network: nn.Module) -> Backbone:
    """Return a torch module that was given in Python as a backbone; the module itself is left as it is."""
    from ssl_bench.backbones.module import given_backbone

    return given_backbone(card, network)


def find_adapter(card: ModelCard) -> Loader:
    """Return the function that makes this card's backbone; its module is imported now."""
    if ":" in card.adapter:
        return _foreign_adapter(card)
    if card.adapter not in ADAPTERS:
        raise UsageError(
            f"{card.name}: no adapter is called {card.adapter!r}.{did_you_mean(card.adapter, ADAPTERS)} "
            f"Known: {', '.join(ADAPTERS)}, or your_package.module:Class"
        )
    try:
        module = importlib.import_module(f"ssl_bench.backbones.{card.adapter}")
    except ModuleNotFoundError as error:
        if error.name in PACKAGES:
            raise missing_package(*PACKAGES[error.name], f"the adapter {card.adapter}") from error
        raise
    return cast(Loader, module.load)


def _foreign_adapter(card: ModelCard) -> Loader:
    """Return what "package.module:name" names; raise UsageError where it is not there."""
    place, _, name = card.adapter.partition(":")
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{card.name}: the adapter {card.adapter!r} needs the module {error.name}, which is not importable"
        ) from error
    if not hasattr(module, name):
        raise UsageError(f"{card.name}: the module {place} has no {name!r}.{did_you_mean(name, dir(module))}")
    return cast(Loader, getattr(module, name))
