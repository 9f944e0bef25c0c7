"""Maps from inside a network: behind the blocks of a plain transformer, and behind the stages of all others.

A stage is what a network has last at one resolution, from the finest to the coarsest. timm's networks say what theirs
are; of others every module is watched down to the second level, which in torchvision and the families of checkpoints
is that of blocks. Blocks are found by name; see `layers.block_names`.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones import grids, layers
from ssl_bench.backbones.base import Backbone
from ssl_bench.errors import UsageError

NORMS = ("norm", "ln_post", "layernorm", "post_layernorm", "encoder.ln", "encoder.norm")
"""Names of the last norm of transformers whose blocks are watched."""
_STAGES: weakref.WeakKeyDictionary[Backbone, list[str]] = weakref.WeakKeyDictionary()
"""Modules that end the stages of backbones that were asked before."""
LEVELS = 2
"""Names of modules that are watched have at most so many parts, lists not counted."""


def is_plain(backbone: Backbone) -> bool:
    """True for a transformer all of whose blocks work on one grid of patches."""
    network: Any = backbone.network
    if network is None:
        return False
    if _is_timm(network):
        return isinstance(getattr(network, "num_prefix_tokens", None), int) and not hasattr(network, "reroll")
    with contextlib.suppress(UsageError):
        return not layers.BLOCKS[1].match(name := layers.block_names(network)[0]) and _is_of_tokens(network, name)
    return False


def _is_of_tokens(network: nn.Module, block: str) -> bool:
    """True where a block has no convolution: it takes tokens, not maps."""
    return not any(isinstance(part, nn.Conv2d | nn.BatchNorm2d) for part in network.get_submodule(block).modules())


def depth(backbone: Backbone) -> int:
    """Return how many layers `of` counts: blocks, or stages."""
    if is_plain(backbone):
        assert backbone.network is not None
        return len(layers.block_names(backbone.network))
    with torch.no_grad():
        return len(every(backbone, grids.blank(backbone)))


def of(backbone: Backbone, images: Tensor, indices: Sequence[int], *, norm: bool = True) -> list[Tensor]:
    """Return the maps (images, dim, rows, columns) behind the blocks or stages with these numbers.

    They count from the end if negative. Raises UsageError for a number that there is not, and for a network whose
    layers are not known.
    """
    if not is_plain(backbone):
        return _picked(every(backbone, images), indices, "stages")
    taps = _timm_blocks if _is_timm(backbone.network) else _blocks
    return [grids.outside_inference(one) for one in taps(backbone, images, indices, norm=norm)]


def _picked(every: Sequence[Tensor], indices: Sequence[int], what: str) -> list[Tensor]:
    wrong = [index for index in indices if not -len(every) <= index < len(every)]
    if wrong:
        raise UsageError(f"there is no layer {wrong[0]}: this network has {len(every)} {what}")
    return [every[index] for index in indices]


def _timm_blocks(backbone: Backbone, images: Tensor, indices: Sequence[int], *, norm: bool) -> list[Tensor]:
    """Return maps from timm's own taps, nothing behind the last being computed."""
    network: Any = backbone.network
    wanted = _picked(range(len(network.blocks)), indices, "blocks")  # type: ignore[arg-type]
    order = sorted({int(index) for index in wanted})
    trained = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in network.parameters())
    with torch.set_grad_enabled(trained):
        found = network.forward_intermediates(
            images, indices=order, norm=norm, intermediates_only=True, stop_early=True
        )
    maps = dict(zip(order, (one[0] if isinstance(one, tuple) else one for one in found), strict=True))
    return [maps[int(index)] for index in wanted]


def _blocks(backbone: Backbone, images: Tensor, indices: Sequence[int], *, norm: bool) -> list[Tensor]:
    """Return maps of tokens (images, tokens, dim) that blocks gave, patches being the last of them."""
    network: Any = backbone.network
    names = layers.block_names(network)
    with _watched(network, names) as seen:
        last = backbone.forward(images, backbone.default_pooling).dense
    if last is None:
        raise UsageError(f"{grids.named(backbone)} has no map of an image's parts")

    def laid(tokens: Tensor) -> Tensor:
        """Return patches, which are the last tokens, in their places."""
        patches = tokens[:, -last.shape[2] * last.shape[3] :]
        return patches.transpose(1, 2).reshape(len(images), -1, *last.shape[2:])

    chosen = _picked([seen[name] for name in names], indices, "blocks")
    if not norm or torch.equal(laid(seen[names[-1]]), last):  # the last map of HuggingFace's CLIP passes no norm
        return [laid(tokens) for tokens in chosen]
    for name in NORMS:
        if _has(network, name) and torch.equal(laid(network.get_submodule(name)(seen[names[-1]])), last):
            return [laid(network.get_submodule(name)(tokens)) for tokens in chosen]
    raise UsageError(f"{grids.named(backbone)} has no last norm that is known by name; only its last layer can be had")


def every(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """Return every stage's map (images, dim, rows, columns), the finest first."""
    network: Any = backbone.network
    if network is None:
        raise UsageError(f"{grids.named(backbone)} has no network whose layers it could hand out")
    found = _timm_stages(network, images) if _is_timm(network) else _watched_stages(backbone, images)
    return [grids.outside_inference(one) for one in found]


def _is_timm(network: Any) -> bool:
    return hasattr(network, "forward_intermediates") and hasattr(network, "feature_info")


def _timm_stages(network: Any, images: Tensor) -> list[Tensor]:
    trained = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in network.parameters())
    with torch.set_grad_enabled(trained):
        found: list[Tensor] = network.forward_intermediates(images, intermediates_only=True)
    return found


def _watched_stages(backbone: Backbone, images: Tensor) -> list[Tensor]:
    """Return what a network's modules have last at each halving of the resolution."""
    if backbone not in _STAGES:
        _STAGES[backbone] = _stage_names(backbone)
    seen = _seen(backbone, images, _STAGES[backbone])
    return [seen[name] for name in _STAGES[backbone]]


def _stage_names(backbone: Backbone) -> list[str]:
    """Return the modules that end a stage, found with an image of the model's own size."""
    network: Any = backbone.network
    blank = grids.blank(backbone)
    with torch.no_grad():
        seen = _seen(backbone, blank, [name for name, _ in network.named_modules() if _is_watched(network, name)])
    halvings: dict[int, str] = {}
    for name, output in seen.items():
        if output.ndim == 4 and 1 < output.shape[2] <= blank.shape[2]:
            halvings[round(math.log2(blank.shape[2] / output.shape[2]))] = name
    if not halvings:
        raise UsageError(f"{grids.named(backbone)} hands out no layers: none of its modules gives a map")
    return [halvings[number] for number in sorted(halvings)]


def _seen(backbone: Backbone, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
    """Return what the modules of these names give, maps with channels first, in the order of their ends."""
    network: Any = backbone.network
    with _watched(network, names) as seen:
        backbone.forward(images, backbone.default_pooling)
    channels_last = _has(network, "permute")  # torchvision's Swin
    return {
        name: output.permute(0, 3, 1, 2) if channels_last and output.ndim == 4 and name != "permute" else output
        for name, output in seen.items()
    }


def _is_watched(network: nn.Module, name: str) -> bool:
    if not name or isinstance(network.get_submodule(name), nn.ModuleList | nn.ModuleDict):
        return False
    parts = name.split(".")
    above = (network.get_submodule(".".join(parts[:count])) for count in range(1, len(parts)))
    lists = sum(isinstance(module, nn.ModuleList | nn.ModuleDict) for module in above)
    return len(parts) - lists <= LEVELS


@contextlib.contextmanager
def _watched(network: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Fill a mapping with what the modules of these names give while the block runs, in the order of their ends."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _given: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, Tensor):
                seen.pop(name, None)
                seen[name] = first

        return hook

    handles = [network.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _has(network: nn.Module, name: str) -> bool:
    try:
        return isinstance(network.get_submodule(name), nn.Module)
    except AttributeError:
        return False
