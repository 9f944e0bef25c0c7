"""The layers of a network handed out: what each says of images, and its parameters, ordered from stem to head.

A layer is a block of a transformer or a convolutional network. Blocks are found by the names that timm, torchvision and
the families of checkpoints give to their lists; a stage's downsampling belongs to the block after it.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ssl_bench.backbones.base import Features
from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

BLOCKS = (
    re.compile(r"^(?:encoder\.|cls_attn_|trunk\.)?blocks\.\d+$"),  # vision transformers
    re.compile(r"^(?:\w+\.)*(?:layers|stages)\.\d+\.(?:blocks|layers)\.\d+$"),  # Swin, ConvNeXt
    re.compile(r"^(?:\w+\.)?(?:layer|stage)\d\.\d+$"),  # ResNet, ShuffleNet
    re.compile(r"^(?:trunk_output\.block\d\.block\d-|s\d\.b)\d+$"),  # RegNets
    re.compile(r"^features\.\d+\.\d+$"),  # torchvision's Swin and ConvNeXt
    re.compile(r"^(?:encoder\.)?layers?\.(?:encoder_layer_)?\d+$"),  # transformers of Hugging Face and torchvision
    re.compile(r"^transformer\.resblocks\.\d+$"),  # open_clip
)
"""Names of blocks; a network's are those of the first pattern that fits any."""
TOGETHER = 3
"""Blocks of one stage of a convolutional network that layer-wise decay takes for one layer."""
BEHIND = ("proj",)
"""Parameters of the network itself, not of a module in it, that stand behind the blocks; others stand before them."""
SHARED = "rel_pos_bias."
"""Positions that all blocks of a BEiT share, which its authors count to the last layer."""


def groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return every parameter once: those before the blocks, those of each block in turn, those behind them.

    For learning rates that fall from head to stem (Bao et al. 2022, https://arxiv.org/abs/2106.08254). Raises
    UsageError for a network whose blocks are not found.
    """
    blocks = block_names(network)
    order = {name: index for index, (name, _) in enumerate(network.named_modules())}
    last = order[blocks[-1]]
    found: list[list[nn.Parameter]] = [[] for _ in range(len(blocks) + 2)]
    for name, parameter in network.named_parameters():
        found[_group_of(name, blocks, order, last)].append(parameter)
    return found


def decay_groups(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return the groups that a layer-wise decay of rates tells apart, from stem to head, each parameter once.

    A transformer's layer is a block: BEiT's rule (beit/optim_factory.py of https://github.com/microsoft/unilm), which
    MAE took over, and SimMIM's for Swin. A convolutional network's is up to three blocks of one stage: ConvNeXt's rule
    (optim_factory.py of https://github.com/facebookresearch/ConvNeXt), which makes 12 layers of ConvNeXt-B.
    """
    single, blocks = groups(network), block_names(network)
    if any(attends(network.get_submodule(name)) for name in blocks):
        return single
    found, seen = [single[0]], collections.Counter[str]()
    for name, parameters in zip(blocks, single[1:-1], strict=True):
        stage = name.rstrip("0123456789")
        if seen[stage] % TOGETHER == 0:
            found.append([])
        seen[stage] += 1
        found[-1] += parameters
    return [*found, single[-1]]


def attends(block: nn.Module) -> bool:
    """True for a block of a transformer."""
    return any("attn" in name or "attention" in name for name, _ in block.named_modules())


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


def block_names(network: nn.Module) -> list[str]:
    """Return the names of the blocks, in their order; raise UsageError for a network whose blocks are not found."""
    every = [name for name, _ in network.named_modules()]
    for pattern in BLOCKS:
        if names := [name for name in every if pattern.match(name)]:
            return names
    raise UsageError(f"{type(network).__name__} hands out no groups of layers: its blocks are not known by name")


def _group_of(name: str, blocks: list[str], order: dict[str, int], last: int) -> int:
    """Return the group of one parameter: its block's, that of the next block, or the one behind all blocks."""
    own = next((index for index, block in enumerate(blocks) if name.startswith(f"{block}.")), None)
    if own is not None:
        return own + 1
    module, _, _ = name.rpartition(".")
    if not module or name.startswith(SHARED):
        return len(blocks) + 1 if name in BEHIND or module else 0
    place = order[module]
    if place > last:
        return len(blocks) + 1
    if place < order[blocks[0]]:
        return 0
    return 1 + next(index for index, block in enumerate(blocks) if order[block] > place)
