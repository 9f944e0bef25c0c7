"""A copy of a backbone's network with a head on it, made ready by a recipe: what is trained, at what share of the rate.

The backbone itself stays frozen: jobs after this one use it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones import layers
from ssl_bench.backbones.base import Backbone, build_seeded
from ssl_bench.errors import DataError, UsageError, missing_package
from ssl_bench.protocols._recipes import Recipe
from ssl_bench.training import Group

TOKENS = frozenset(
    {
        "cls_token",
        "class_embedding",
        "class_token",
        "dist_token",
        "pos_embed",
        "pos_embedding",
        "position_embeddings",
        "positional_embedding",
        "reg_token",
        "register_tokens",
    }
)
"""Last parts of the names of learnt tokens and positions, which MAE and BEiT spare weight decay."""
ATTENTION = frozenset({"qkv", "q_proj", "v_proj", "query", "value", "to_qkv"})
"""Last parts of the names of the linear layers that low-rank matrices stand beside: queries and values, as usual, and
keys where one layer makes all three."""
DROPS = ("drop_path", "drop_path1", "drop_path2")
"""Where blocks of timm, and of transformers that follow it, keep what drops a path."""


class Tuned(nn.Module):
    """Normalised images (images, channels, height, width) to logits (images, classes)."""

    pooling: str
    """The pooling that the head reads."""
    dropped: float
    """The drop path that the network has a place for."""

    def __init__(self, backbone: Backbone, recipe: Recipe, pooled: str, classes: int) -> None:
        super().__init__()
        self._backbone = copy.deepcopy(backbone)
        network = self._backbone.network
        if network is None:
            raise UsageError(f"fine_tune trains a network, and {type(backbone).__name__} has none")
        self.network = network.eval().requires_grad_(True)
        self.pooling = _pooling(backbone, recipe, pooled)
        moved = _norm_taken_out(network) if recipe.pooling == "patch_mean" == self.pooling == _named(pooled) else None
        self.dropped = drop_paths(network, recipe.drop_path)
        if recipe.rank:
            _adapt(network, recipe)
        images = _blank(backbone, network)
        with torch.no_grad():
            said = self._pooled(images)
        if not bool(said.isfinite().all()):
            raise DataError("the features of a black image are NaN or infinite before any training")
        width = said.shape[1]
        self.norm = nn.LayerNorm(width, eps=moved.eps) if moved is not None else nn.Identity()
        self.head = _head(width, classes, recipe)
        self.to(images.device).eval()
        if recipe.blocks:
            _train_last(network, recipe.blocks)
        spare_the_unused(self, self(images).sum())

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self._pooled(images)))
        return logits

    def _pooled(self, images: Tensor) -> Tensor:
        return self._backbone.forward(images, self.pooling).pooled

    def groups(self, recipe: Recipe, decay: float) -> list[Group]:
        """Return the parameters that are trained, by layer and by whether they decay, from stem to head.

        Layer k of n has the share `layer_decay` ** (n - k) of the rate, where the head's is n: MAE's
        util/lr_decay.py and BEiT's optim_factory.py. Raises UsageError for a network whose layers are not known.
        """

        def decays(name: str, parameter: nn.Parameter) -> bool:
            return recipe.decay_all or not _spared(name, parameter)

        return grouped(self, self.network, recipe.layer_decay, decay, decays, "fine_tune")


def grouped(
    whole: nn.Module,
    network: nn.Module,
    layer_decay: float,
    decay: float,
    decays: Callable[[str, nn.Parameter], bool],
    protocol: str,
) -> list[Group]:
    """Return what is trained of `whole`, by layer of the `network` in it and by whether it decays, from stem to head.

    Layer k of n has the share `layer_decay` ** (n - k) of the rate, where the heads' is n. Raises UsageError, naming
    the protocol, for a network whose layers are not known.
    """
    ranks, top = _layers(network, layer_decay, protocol)
    found: dict[tuple[int, bool], Group] = {}
    for name, parameter in whole.named_parameters():
        if not parameter.requires_grad:
            continue
        layer, does = ranks.get(id(parameter), top), decays(name, parameter)
        words = f"layer {layer} {'with' if does else 'without'} decay"
        group = found.setdefault((layer, does), Group([], layer_decay ** (top - layer), decay if does else 0.0, words))
        group.parameters.append(parameter)
    return [found[key] for key in sorted(found)]


def _layers(network: nn.Module, layer_decay: float, protocol: str) -> tuple[dict[int, int], int]:
    """Return the layer of each of the network's parameters, by identity, and the heads'; one where one rate is for
    all."""
    if layer_decay == 1:
        return {}, 0
    try:
        groups = layers.decay_groups(network)
    except UsageError as error:
        raise UsageError(f"{error}; ask for {protocol},layer_decay=1, which trains all at one rate") from error
    return {id(parameter): layer for layer, group in enumerate(groups) for parameter in group}, len(groups) - 1


def spare_the_unused(whole: nn.Module, said: Tensor) -> None:
    """Leave without gradients what a number does not depend on, such as a head of the network's own."""
    asked = [parameter for parameter in whole.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(said, asked, allow_unused=True)
    for parameter, gradient in zip(asked, found, strict=True):
        parameter.requires_grad_(gradient is not None)


def tuned(backbone: Backbone, recipe: Recipe, pooled: str, classes: int, seed: int) -> Tuned:
    """Return the network that a recipe starts from; `seed` draws the head."""
    return build_seeded(lambda: Tuned(backbone, recipe, pooled, classes), seed)  # type: ignore[return-value]


def size_of(backbone: Backbone) -> tuple[int, int]:
    """Return depth and width that a recipe goes by: those of a transformer, or ViT-B's for another network."""
    network: Any = backbone.network
    try:
        blocks = layers.block_names(network)
    except UsageError:
        return 12, 768
    if not layers.attends(network.get_submodule(blocks[-1])):
        return 12, 768
    last = [module for module in network.get_submodule(blocks[-1]).modules() if isinstance(module, nn.LayerNorm)]
    return len(blocks), int(last[0].normalized_shape[0]) if last else 768


def _named(pooled: str) -> str:
    """Return what a recipe's pooling may stay for a job: its own, unless the job names another."""
    return "patch_mean" if pooled == "default" else pooled


def _pooling(backbone: Backbone, recipe: Recipe, pooled: str) -> str:
    """Return the pooling that the job names, else the recipe's where the model offers it, else the model's own."""
    wanted = recipe.pooling if pooled == "default" and recipe.pooling in backbone.poolings else pooled
    return backbone.resolve_pooling(wanted)


def _norm_taken_out(network: Any) -> nn.LayerNorm | None:
    """Put an identity in the place of the final norm, which then follows the mean; None where there is none to move."""
    if not isinstance(getattr(network, "fc_norm", nn.Identity()), nn.Identity):
        return None  # timm has it behind the mean already
    for name in ("norm", "layernorm"):
        if isinstance(norm := getattr(network, name, None), nn.LayerNorm):
            setattr(network, name, nn.Identity())
            return norm
    return None


def drop_paths(network: nn.Module, rate: float) -> float:
    """Set the drop path of each block, rising from 0 to `rate`; return it, or 0 where blocks have no place for it."""
    from timm.layers import DropPath

    try:
        names = layers.block_names(network)
    except UsageError:
        return 0.0
    set_any = False
    for name, odds in zip(names, torch.linspace(0, rate, len(names)).tolist(), strict=True):
        block = network.get_submodule(name)
        for place in DROPS:
            if hasattr(block, place):
                setattr(block, place, DropPath(odds) if odds else nn.Identity())
                set_any = True
    return rate if set_any else 0.0


def _adapt(network: nn.Module, recipe: Recipe) -> None:
    """Freeze the network and put low-rank matrices beside its attention, in place (Hu et al. 2021).

    Raises MissingError without the package peft, UsageError for a network without attention that is known by name.
    """
    try:
        import peft
    except ImportError as error:
        raise missing_package("peft", "peft", "the recipe lora") from error
    network.requires_grad_(False)
    names = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and name.rpartition(".")[2] in ATTENTION
    ]
    if not names:
        raise UsageError(f"{type(network).__name__} has no attention that recipe=lora could put matrices beside")
    how = peft.LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, lora_dropout=recipe.dropout, target_modules=names, bias="none"
    )
    peft.inject_adapter_in_model(how, network)


def _head(width: int, classes: int, recipe: Recipe) -> nn.Linear:
    head = nn.Linear(width, classes)
    if recipe.head != "linear":
        nn.init.trunc_normal_(head.weight, std=2e-5 if recipe.head == "tiny" else 0.02)
        nn.init.zeros_(head.bias)
    if recipe.head == "scaled":
        head.weight.data.mul_(0.001)
    return head


def _train_last(network: nn.Module, count: int) -> None:
    """Freeze what stands before the last blocks."""
    every = layers.groups(network)
    if count > len(every) - 2:
        raise UsageError(f"fine_tune: blocks={count}, but {type(network).__name__} has {len(every) - 2}")
    for group in every[: -count - 1]:
        for parameter in group:
            parameter.requires_grad_(False)


def _spared(name: str, parameter: nn.Parameter) -> bool:
    """True for what does not decay: biases, norms and other vectors, tokens and positions."""
    return parameter.ndim <= 1 or name.endswith(".bias") or name.rpartition(".")[2] in TOKENS


def _blank(backbone: Backbone, network: nn.Module) -> Tensor:
    channels = 1 if backbone.input.channels == "grey" else 3
    return torch.zeros(1, channels, *backbone.input.size, device=next(network.parameters()).device)
