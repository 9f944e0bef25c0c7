"""Context autoencoders (Chen et al. 2022, https://arxiv.org/abs/2202.03026).

Names as in https://github.com/Atten4Vis/CAE. The encoder is BEiT's block (no bias for keys, layer scale) with absolute
positions from sines in place of the relative ones. The catch: the tiny and the small network have 12 heads, as the base
one. Its authors' scripts of linear probes take cls (`--use_cls`). The file also holds an alignment encoder of the same
names.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from timm.models.beit import Beit
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, relative_vit, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("mask_token", "lm_head.", "head.")
renamed = keys.as_named
features = relative_vit.features


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, image size, and whether layers are scaled."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    return {
        "width": width,
        "depth": vit.depth_of(state),
        "patch": patch,
        "size": math.isqrt(state["pos_embed"].shape[1] - 1) * patch,
        "scaled": "blocks.0.gamma_1" in state,
    }


def build(
    width: int = 768,
    depth: int = 12,
    patch: int = 16,
    size: int = 224,
    scaled: bool = True,
    *,
    heads: int = 0,
    eps: float = 1e-6,
) -> nn.Module:
    """Return the untrained encoder: 12 heads in all but the large one, which has 16."""
    network: nn.Module = Beit(
        img_size=size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads or (16 if width > 768 else 12),
        num_classes=0,
        global_pool="token",
        use_abs_pos_emb=True,
        use_rel_pos_bias=False,
        init_values=0.1 if scaled else None,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network
