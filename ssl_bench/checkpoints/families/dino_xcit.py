"""DINO's cross-covariance transformers (Caron et al. 2021, https://arxiv.org/abs/2104.14294; XCiT: 2106.09681).

Names as in https://github.com/facebookresearch/xcit, which VISSL keeps in a trunk of its own. Patches are embedded by
three or four convolutions, positions are computed for each size. The catch: small and medium networks norm all tokens
in the blocks of cls, the tiny ones cls alone, and no shape tells; DINO's are small and medium.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from timm.models.xcit import Xcit
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("teacher", "model", "classy_state_dict.base_model.model.trunk")
PREFIXES = ("module.", "backbone.")
DROPPED = ("head.",)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name positions as timm does, and split what cls asks from what patches answer."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key.replace("pos_embeder.", "pos_embed.")
        if name.startswith("cls_attn_blocks.") and ".attn.qkv." in name:
            parts = zip("qkv", tensor.chunk(3), strict=True)
            found |= {name.replace(".qkv.", f".{letter}."): part for letter, part in parts}
        else:
            found[name] = tensor
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, heads and patch side: each convolution of the embedding halves the image."""
    convolutions = [key for key in state if key.startswith("patch_embed.proj.") and state[key].ndim == 4]
    return {
        "width": state["cls_token"].shape[2],
        "depth": vit.depth_of(state),
        "heads": state["blocks.0.attn.temperature"].shape[0],
        "patch": 2 ** len(convolutions),
    }


def build(
    width: int = 384, depth: int = 12, heads: int = 8, patch: int = 16, *, tokens_norm: bool = True, eps: float = 1e-6
) -> nn.Module:
    """Return the untrained network; the defaults are XCiT-S12/16."""
    network: nn.Module = Xcit(
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads,
        num_classes=0,
        global_pool="token",
        tokens_norm=tokens_norm,
        eta=1.0,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, mean over patches, both side by side, and the map of patches, all after the final norm."""
    assert isinstance(network, Xcit)
    return vit.pooled(network.forward_features(images), 1, images.shape[2] // network.patch_embed.patch_size)
