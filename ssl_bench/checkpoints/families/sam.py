"""Image encoders of Segment Anything (Kirillov et al. 2023, https://arxiv.org/abs/2304.02643), such as LVM-Med's.

Names as in https://github.com/facebookresearch/segment-anything, with its prefix `image_encoder.` or, in LVM-Med's
files, without. Most blocks attend within windows; those that see the whole image are shown by their longer tables of
relative positions. Images have the one size of the positions, 1024 pixels; the feature is the mean over the map behind
the neck.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from timm.models.vision_transformer_sam import VisionTransformerSAM
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT: Mapping[str, Any] = {"size": (1024, 1024), "resize": "squash", "interpolation": "bilinear"}
POOLINGS = ("gap",)
CONTAINERS = ("model", "state_dict")
PREFIXES = ("module.", "image_encoder.")
DROPPED = ("prompt_encoder.", "mask_decoder.", "head.")


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name hidden layers as timm does."""
    return {key.replace(".mlp.lin", ".mlp.fc"): tensor for key, tensor in state.items()}


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, image size, the window, the blocks without one, and the neck's width."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    depth = vit.depth_of(state)
    sides = [(state[f"blocks.{block}.attn.rel_pos_h"].shape[0] + 1) // 2 for block in range(depth)]
    grid = state["pos_embed"].shape[1]
    return {
        "width": width,
        "depth": depth,
        "patch": patch,
        "size": grid * patch,
        "window": min(sides),
        "whole": [block for block, side in enumerate(sides) if side == grid],
        "neck": state["neck.0.weight"].shape[0],
    }


def build(
    width: int = 768,
    depth: int = 12,
    patch: int = 16,
    size: int = 1024,
    window: int = 14,
    whole: tuple[int, ...] = (2, 5, 8, 11),
    neck: int = 256,
    *,
    heads: int = 0,
    eps: float = 1e-6,
) -> nn.Module:
    """Return the untrained encoder; the defaults are ViT-B."""
    network: nn.Module = VisionTransformerSAM(
        img_size=size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads or vit.HEADS.get(width, max(1, width // 64)),
        use_rel_pos=True,
        window_size=window,
        global_attn_indexes=tuple(whole),
        neck_chans=neck,
        num_classes=0,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the map behind the neck, 1/16 of the image's height and width, and its mean."""
    assert isinstance(network, VisionTransformerSAM)
    vit.check_size(images, network.patch_embed.img_size)
    dense = network.forward_features(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}
