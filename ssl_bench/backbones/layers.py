"""The layers of a network handed out: what each says of images, and its parameters, ordered from stem to head.

A layer is a block of a transformer or a convolutional network. Blocks are found by the names that timm, torchvision and
the families of checkpoints give to their lists; a stage's downsampling belongs to the block after it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ssl_bench.backbones.base import Features
from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

BLOCKS = (
    re.compile(r"^(?:encoder\.|cls_attn_)?blocks\.\d+$"),  # vision transformers
    re.compile(r"^(?:layers|stages)\.\d+\.blocks\.\d+$"),  # Swin, ConvNeXt
    re.compile(r"^layer\d\.\d+$"),  # ResNet
)
BEHIND = ("proj",)
"""Parameters of the network itself, not of a module in it, that stand behind the blocks; others stand before them."""


def groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return every parameter once: those before the blocks, those of each block in turn, those behind them.

    For learning rates that fall from head to stem (Bao et al. 2022, https://arxiv.org/abs/2106.08254). Raises
    UsageError for a network whose blocks are not found.
    """
    blocks = _blocks(network)
    order = {name: index for index, (name, _) in enumerate(network.named_modules())}
    last = order[blocks[-1]]
    found: list[list[nn.Parameter]] = [[] for _ in range(len(blocks) + 2)]
    for name, parameter in network.named_parameters():
        found[_group_of(name, blocks, order, last)].append(parameter)
    return found


def of(network: Any, images: Tensor, indices: Sequence[int]) -> list[Features]:
    """Return features and maps behind the blocks or stages with these numbers, which count from the end if negative.

    Token networks of timm number blocks, whose tokens pass the final norm, and convolutional ones number stages. The
    pooled feature is cls where there is one, else the mean of the map (images, dim, height, width).
    """
    if not hasattr(network, "forward_intermediates"):
        raise UsageError(f"{type(network).__name__} hands out no layers; networks of timm do")
    is_token_network = hasattr(network, "num_prefix_tokens")
    more = {"return_prefix_tokens": True, "norm": True} if is_token_network else {}
    count = len(network.blocks) if is_token_network else len(network.feature_info)
    wanted = [index % count for index in indices]
    found = network.forward_intermediates(images, indices=sorted(set(wanted)), intermediates_only=True, **more)
    each = dict(zip(sorted(set(wanted)), (_features(layer, network) for layer in found), strict=True))
    return [each[index] for index in wanted]


def _features(layer: Any, network: Any) -> Features:
    """Return one layer's features from timm's map, or pair of map and tokens before the patches."""
    dense, prefix = layer if isinstance(layer, tuple) else (layer, None)
    has_cls = prefix is not None and getattr(network, "cls_token", None) is not None
    return Features(prefix[:, 0] if has_cls else dense.mean((2, 3)), dense)


def _blocks(network: nn.Module) -> list[str]:
    """Return the names of the blocks, in their order."""
    names = [name for name, _ in network.named_modules() if any(pattern.match(name) for pattern in BLOCKS)]
    if not names:
        raise UsageError(f"{type(network).__name__} hands out no groups of layers: its blocks are not known by name")
    return names


def _group_of(name: str, blocks: list[str], order: dict[str, int], last: int) -> int:
    """Return the group of one parameter: its block's, that of the next block, or the one behind all blocks."""
    own = next((index for index, block in enumerate(blocks) if name.startswith(f"{block}.")), None)
    if own is not None:
        return own + 1
    module, _, _ = name.rpartition(".")
    if not module:
        return len(blocks) + 1 if name in BEHIND else 0
    place = order[module]
    if place > last:
        return len(blocks) + 1
    if place < order[blocks[0]]:
        return 0
    return 1 + next(index for index, block in enumerate(blocks) if order[block] > place)
