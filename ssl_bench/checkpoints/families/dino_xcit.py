"""DINO's XCiTs (Caron et al. 2021, https://arxiv.org/abs/2104.14294; El-Nouby et al. 2021).

Names as in https://github.com/facebookresearch/dino and https://github.com/facebookresearch/xcit, also as trunks of
VISSL. The catch: S-12 and M-24 norm all tokens in the blocks of class attention, where the nano and tiny ones norm cls
alone, and no shape tells. The feature is cls after the norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models.xcit import Xcit
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = ("cls", "patch_mean")
CONTAINERS = ("classy_state_dict.base_model.model.trunk", "teacher")
PREFIXES = ("module.", "backbone.")
DROPPED = ("head.",)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Split query, key and value of the blocks of class attention, and name the positions as timm does."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.startswith("cls_attn_blocks.") and ".attn.qkv." in key:
            found |= {key.replace("qkv", part): rows for part, rows in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            found[key.replace("pos_embeder.", "pos_embed.")] = tensor
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, heads and the pixels of a patch."""
    strided = {key.split(".")[2] for key in state if key.startswith("patch_embed.proj.") and state[key].ndim == 4}
    return {
        "width": state["cls_token"].shape[-1],
        "depth": vit.depth_of(state, "blocks."),
        "heads": state["blocks.0.attn.temperature"].shape[0],
        "patch": 2 ** len(strided),
    }


def build(width: int = 384, depth: int = 12, heads: int = 8, patch: int = 16, norm_all: bool = True) -> nn.Module:
    """Return the untrained network; the defaults are S-12/16."""
    network: nn.Module = Xcit(
        patch_size=patch, embed_dim=width, depth=depth, num_heads=heads, tokens_norm=norm_all, num_classes=0
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, the mean over the patches, and the patches as a map."""
    assert isinstance(network, Xcit)
    tokens = network.forward_features(images)  # (images, 1 + patches, dim)
    height, width = (side // network.patch_embed.patch_size for side in images.shape[-2:])
    dense = tokens[:, 1:].transpose(1, 2).unflatten(2, (height, width))
    return {"cls": tokens[:, 0], "patch_mean": tokens[:, 1:].mean(1), "dense": dense}
