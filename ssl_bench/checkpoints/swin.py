"""The Swin transformer that several families share: what its shapes show, how it is built, and what is pooled.

Files name a stage's downsampling at its end, as Microsoft's code does; the network here has it at the beginning of the
next. Shapes show neither the image size nor the epsilon of the norms: a family says these in its `build`.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from typing import Any

from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

POOLINGS = ("gap",)
BUFFERS = ("relative_position_index", "attn_mask")


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out buffers, and move each downsampling to the stage after it, where the first stage has one."""
    later = int("layers.0.downsample.reduction.weight" in state)
    return {
        re.sub(r"^layers\.(\d+)\.downsample", lambda found: f"layers.{int(found[1]) + later}.downsample", key): tensor
        for key, tensor in state.items()
        if not key.endswith(BUFFERS)
    }


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the width of the first stage, blocks and heads of each, and the window of the first."""
    stages = range(vit.depth_of(state, "layers."))
    tables = [state[f"layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in stages]
    return {
        "width": state["patch_embed.proj.weight"].shape[0],
        "depths": [vit.depth_of(state, f"layers.{stage}.blocks.") for stage in stages],
        "heads": [table.shape[1] for table in tables],
        "window": (math.isqrt(tables[0].shape[0]) + 1) // 2,
    }


def build(**given: Any) -> nn.Module:
    """Return the untrained network; see `arguments`, whose defaults are Swin-B."""
    network: nn.Module = SwinTransformer(**arguments(**given))
    return network


def arguments(
    width: int = 128,
    depths: tuple[int, ...] = (2, 2, 18, 2),
    heads: tuple[int, ...] = (4, 8, 16, 32),
    window: int = 7,
    *,
    size: int = 224,
    eps: float = 1e-5,
) -> dict[str, Any]:
    """Return the arguments of a network of this kind, by timm's names."""
    return {
        "img_size": size,
        "embed_dim": width,
        "depths": depths,
        "num_heads": heads,
        "window_size": window,
        "num_classes": 0,
        "norm_layer": functools.partial(nn.LayerNorm, eps=eps),
    }


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map after the final norm, 1/32 of the image's height and width, and its mean."""
    assert isinstance(network, SwinTransformer)
    vit.check_size(images, network.patch_embed.img_size)
    dense = network.forward_features(images).permute(0, 3, 1, 2)
    return {"gap": dense.mean((2, 3)), "dense": dense}
