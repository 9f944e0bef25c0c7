"""The vision transformer of BEiT and its heirs: positions as a bias of attention, no bias for keys, layer scale.

Pretraining shares one table of relative positions among all blocks; fine-tuning gives each block its own. Heads are
shown by the tables, the image size by their length.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from timm.models.beit import Beit
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

TABLE = "relative_position_bias_table"
BUFFERS = ("relative_position_index", "relative_coords_table")


def without_buffers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out what the network computes itself."""
    return {key: tensor for key, tensor in state.items() if not key.endswith(BUFFERS)}


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, heads, patch side and image size, and which of the optional parts there are."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    shared = f"rel_pos_bias.{TABLE}" in state
    table = state[f"rel_pos_bias.{TABLE}" if shared else f"blocks.0.attn.{TABLE}"]
    window = (math.isqrt(table.shape[0] - 3) + 1) // 2  # (2 window - 1)² offsets, and three for cls
    return {
        "width": width,
        "depth": vit.depth_of(state),
        "heads": table.shape[1],
        "patch": patch,
        "size": window * patch,
        "shared": shared,
        "absolute": "pos_embed" in state,
        "scaled": "blocks.0.gamma_1" in state,
    }


def build(
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    patch: int = 16,
    size: int = 224,
    *,
    shared: bool = True,
    absolute: bool = False,
    scaled: bool = True,
    eps: float = 1e-6,
) -> nn.Module:
    """Return the untrained network, its final norm before any pooling."""
    network: nn.Module = Beit(
        img_size=size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        num_classes=0,
        global_pool="token",
        use_abs_pos_emb=absolute,
        use_rel_pos_bias=not shared,
        use_shared_rel_pos_bias=shared,
        init_values=0.1 if scaled else None,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean over patches, cls, both, and the map of patches, all after the final norm."""
    assert isinstance(network, Beit)
    vit.check_size(images, network.patch_embed.img_size)
    patch = network.patch_embed.patch_size[0]
    return vit.pooled(network.forward_features(images), 1, images.shape[2] // patch)
