"""A checkpoint file of a declared family: `weights.file` and `weights.family`, a module of `checkpoints/families/`."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    choose_pooling,
    freeze,
    frozen_unless_trained,
    missing_weights,
)
from ssl_bench.checkpoints import converted, families, keys, reading
from ssl_bench.checkpoints.families import Family, Taken
from ssl_bench.errors import UsageError
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the family's network with the file's tensors, strictly; what [arch] leaves open is read off them."""
    family = families.get(card.weights.family, card.name)
    if context.untrained:
        arch = families.arch_of(family, card.arch)
        return CheckpointBackbone(card, family, _build(card, family, arch, context.seed), arch)
    if context.weights_path is None:
        raise missing_weights(card, card.weights.url or "a local file; put it into the weights folder")
    where = f"{card.name}: {context.weights_path}"
    outer = reading.read(context.weights_path)
    taken, shown = _taken(card, family, outer, converted.read_note(context.weights_path), where)
    arch = families.arch_of(family, {**shown, **card.arch})
    try:
        network = _build(card, family, arch, context.seed)
        keys.load_strict(network, taken.tensors, where)
    except UsageError as error:
        raise UsageError(f"{error}{_nearest(card, outer)}") from error
    return CheckpointBackbone(card, family, network, arch, taken)


class CheckpointBackbone(Backbone):
    """A network of one family of checkpoint files."""

    arguments: dict[str, Any]
    """The arguments of the family's `build`."""
    taken: Taken | None
    """What was taken of the file, and what was left there; None for an untrained network."""

    def __init__(
        self, card: ModelCard, family: Family, network: nn.Module, arch: Mapping[str, Any], taken: Taken | None = None
    ) -> None:
        self.network, self._family, self.taken = freeze(network), family, taken
        self.library = _libraries(network)
        self.input = card.input.applied_to(InputSpec(**family.INPUT))
        self._of_layers = _layer_poolings(network)
        self.poolings = (*family.POOLINGS, *self._of_layers)
        self.default_pooling = choose_pooling(card, self.poolings, family.POOLINGS[0])
        self._family_name, self.arguments = card.weights.family, dict(arch)

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the pooling that the family defines, and its map where it has one."""
        assert self.network is not None
        found = self._several(images) if pooling in self._of_layers else self._family.features(self.network, images)
        return Features(found[pooling], found.get("dense"))

    @frozen_unless_trained
    def forward_all(self, images: Tensor, poolings: Sequence[str]) -> dict[str, Tensor]:
        """Return several poolings from one pass, or from two where a family's own stand beside those of layers."""
        assert self.network is not None
        if not set(poolings) & set(self._of_layers):
            found = self._family.features(self.network, images)
        elif self._pools_as_layers or set(poolings) <= set(self._of_layers):
            found = self._several(images)
        else:
            found = self._several(images) | self._family.features(self.network, images)
        return {pooling: found[pooling] for pooling in poolings}

    @property
    def _pools_as_layers(self) -> bool:
        """True where the family's own poolings are those that `vit.of_layers` gives beside the ones of layers."""
        from ssl_bench.checkpoints import vit

        return self._family.features is vit.features

    def _several(self, images: Tensor) -> dict[str, Tensor]:
        from ssl_bench.checkpoints import vit

        return vit.of_layers(self.network, images)

    def arch(self) -> dict[str, Any]:
        """Return the family and the arguments of its `build`."""
        return {"class": type(self.network).__qualname__, "family": self._family_name, **self.arguments}


def _layer_poolings(network: nn.Module) -> tuple[str, ...]:
    """Return the poolings over several blocks, without timm where the network is not of timm's kind."""
    if not hasattr(network, "forward_intermediates"):
        return ()
    from ssl_bench.checkpoints import vit

    return vit.layer_poolings(network)


def _libraries(network: nn.Module) -> str:
    """Return torch, and the library whose class the network is or derives from, with their versions."""
    found = {cls.__module__.partition(".")[0] for cls in type(network).__mro__} & {"timm", "torchvision"}
    return ", ".join([f"torch {torch.__version__}", *(f"{name} {importlib.metadata.version(name)}" for name in found)])


def _taken(
    card: ModelCard, family: Family, outer: Mapping[str, Any], note: Mapping[str, Any], where: str
) -> tuple[Taken, dict[str, Any]]:
    """Return the backbone's tensors, and the arguments of `build` that they show.

    A file of `ssl-bench model convert` has the network's own names and says the arguments itself.
    """
    name = card.weights.family
    if note:
        if note["family"] != name:
            raise UsageError(f"{where} was converted as the family {note['family']}, not {name}")
        return Taken(dict(outer)), {key: _tuples(value) for key, value in note["arch"].items()}
    try:
        taken = families.take(family, outer, where, card.weights.container, card.weights.prefix)
        return taken, family.shown_by(taken.tensors)
    except UsageError:
        raise
    except families.UNFIT as error:
        lacks = (
            f"It lacks the key {error.args[0]}." if isinstance(error, KeyError) else "It lacks what shows the depth."
        )
        raise UsageError(f"{where} does not fit the family {name}. {lacks}{_nearest(card, outer)}") from error


def _tuples(value: Any) -> Any:
    """Return lists as tuples, as `build` has them."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _nearest(card: ModelCard, outer: Mapping[str, Any]) -> str:
    return families.nearest(outer, besides=card.weights.family, container=card.weights.container)


def _build(card: ModelCard, family: Family, arch: Mapping[str, Any], seed: int) -> nn.Module:
    """Return the untrained network."""
    try:
        return build_seeded(lambda: family.build(**arch), seed)
    except UsageError:
        raise
    except families.UNFIT as error:
        problem = f"{card.name}: the family {card.weights.family} cannot be built with {dict(arch)}:"
        raise UsageError(f"{problem} {error}.") from error
