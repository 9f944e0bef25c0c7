"""Classifiers of torchvision without their last linear layer: `weights.name` is "resnet50/IMAGENET1K_V2".

The pooling is the input of that last layer: `gap` for convolutional networks and Swin, `cls` for vision transformers.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from ssl_bench.backbones.base import (
    Backbone,
    Features,
    LoadContext,
    build_seeded,
    check_digest,
    choose_pooling,
    freeze,
    frozen_unless_trained,
    missing_weights,
)
from ssl_bench.checkpoints import keys, reading
from ssl_bench.checkpoints.vit import interpolate
from ssl_bench.download import download
from ssl_bench.errors import MissingError, UsageError, did_you_mean
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard
from ssl_bench.progress import Progress

HEADS = ("fc", "classifier", "heads", "head")
MAPS = ("layer4", "trunk_output", "permute", "features")
"""Where the classes keep their last map (images, dim, height, width)."""


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the network with the local weights file, or with what torchvision's own address holds."""
    name, _, tag = card.weights.name.partition("/")
    if name not in torchvision.models.list_models(torchvision.models):
        near = did_you_mean(name, torchvision.models.list_models(torchvision.models))
        raise UsageError(f"{card.name}: torchvision {torchvision.__version__} knows no classifier {name!r}.{near}")
    filled = bool(card.arch.get("pretrained", True)) and not context.untrained
    weights = _weights_enum(card, name, tag, filled and not (card.weights.file or card.weights.url))
    arch = {key: value for key, value in card.arch.items() if key != "pretrained"}
    network = build_seeded(lambda: torchvision.models.get_model(name, weights=None, **arch), context.seed)
    if filled:
        path = _file(card, context, weights)
        state = keys.choose_branch(reading.read(path), f"{card.name}: {path}", card.weights.container)
        keys.load_strict(network, keys.strip_prefix(state, ("module.",)), f"{card.name}: {path}")
    return TorchvisionBackbone(card, network, _input_of(weights), {"library": "torchvision", "name": name, **arch})


class TorchvisionBackbone(Backbone):
    """A classifier of torchvision that returns the input of its last linear layer."""

    library = f"torchvision {torchvision.__version__}"

    def __init__(self, card: ModelCard, network: nn.Module, spec: InputSpec, arch: Mapping[str, Any]) -> None:
        _remove_last_linear(network)
        self.network, self.input = freeze(network), card.input.applied_to(spec)
        self.poolings = ("cls",) if isinstance(network, torchvision.models.VisionTransformer) else ("gap",)
        self.default_pooling = choose_pooling(card, self.poolings, self.poolings[0])
        self._arch = dict(arch)

    @frozen_unless_trained
    def forward(self, images: Tensor, pooling: str) -> Features:
        """Return the input of the removed layer, and the last map where the class keeps one."""
        assert self.network is not None
        if isinstance(self.network, torchvision.models.VisionTransformer):
            return _tokens(self.network, images)
        maps: list[Tensor] = []
        place = next((name for name in MAPS if hasattr(self.network, name)), None)
        if place is None:
            return Features(self.network(images))
        hook = getattr(self.network, place).register_forward_hook(lambda _m, _i, found: maps.append(found))
        try:
            pooled = self.network(images)
        finally:
            hook.remove()
        return Features(pooled, maps[-1] if maps[-1].ndim == 4 else None)

    def arch(self) -> dict[str, Any]:
        """Return torchvision's name and the arguments given to it."""
        return {"class": type(self.network).__qualname__, **self._arch}


def _tokens(network: Any, images: Tensor) -> Features:
    """Return cls and the map of patches of a vision transformer; for another grid than its own, positions are
    interpolated bicubically, as torchvision does with those of a file (`interpolate_embeddings`)."""
    patch, side = network.patch_size, network.image_size // network.patch_size
    rows, columns = (length // patch for length in images.shape[2:])
    grid = network.conv_proj(images).flatten(2).transpose(1, 2)
    stored = network.encoder.pos_embedding
    places = interpolate(stored[:, 1:], (side, side), (rows, columns), "resized")
    tokens = torch.cat([network.class_token.expand(len(images), -1, -1), grid], dim=1)
    tokens = tokens + torch.cat([stored[:, :1], places], dim=1)
    encoder = network.encoder
    tokens = encoder.ln(encoder.layers(encoder.dropout(tokens)))
    patches = tokens[:, 1:].transpose(1, 2).reshape(len(images), -1, rows, columns)
    return Features(network.heads(tokens[:, 0]), patches)


def _weights_enum(card: ModelCard, name: str, tag: str, needs_tag: bool) -> Any:
    """Return torchvision's entry for the weights: the named one, else the default, which then only gives the input."""
    known = torchvision.models.get_model_weights(name)
    if tag and tag != "DEFAULT" and tag not in known.__members__:
        raise UsageError(
            f"{card.name}: torchvision knows no weights {tag!r} for {name}.{did_you_mean(tag, known.__members__)} "
            f"Known: {', '.join(known.__members__)}"
        )
    if not tag and needs_tag:
        raise UsageError(
            f"{card.name}: name the weights: torchvision:{name}/TAG with TAG one of {', '.join(known.__members__)}; "
            f"or torchvision:{name},pretrained=false for an untrained network"
        )
    return known[tag] if tag else known.DEFAULT


def _file(card: ModelCard, context: LoadContext, weights: Any) -> Path:
    """Return the weights file: the local one, the one in torch's own cache, or the downloaded one."""
    url = card.weights.url or weights.url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    path = context.weights_path or cached
    if not path.is_file():
        if context.offline:
            raise missing_weights(card, url)
        try:
            download([url], cached, Progress())
        except MissingError as error:
            raise missing_weights(card, url, str(error)) from error
    check_digest(card, path)
    return path


def _input_of(weights: Any) -> InputSpec:
    """Return the evaluation transform of `torchvision.transforms._presets.ImageClassification`."""
    preset = weights.transforms()
    crop, length = preset.crop_size[0], preset.resize_size[0]
    return InputSpec(
        size=(crop, crop),
        resize_to=length,
        interpolation=preset.interpolation.value,
        mean=tuple(preset.mean),
        std=tuple(preset.std),
    )


def _remove_last_linear(network: nn.Module) -> None:
    """Put an identity in the place of the network's last linear layer."""
    name = next(name for name in HEADS if hasattr(network, name))
    head = cast(nn.Module, getattr(network, name))
    if isinstance(head, nn.Linear):
        setattr(network, name, nn.Identity())
        return
    last = [child for child, module in head.named_children() if isinstance(module, nn.Linear)][-1]
    setattr(head, last, nn.Identity())
