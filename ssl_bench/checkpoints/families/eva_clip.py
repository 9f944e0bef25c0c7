"""EVA-CLIP (Sun et al. 2023, https://arxiv.org/abs/2303.15389) and UTA (https://arxiv.org/abs/2405.19009): the towers.

Names as in https://github.com/baaivision/EVA/tree/master/EVA-CLIP; UTA's files, https://github.com/jihaonew/UTA, have
the same. The catches: the tower of EVA-02-CLIP-E, 1792 wide, norms what its layers say, not what they hear; heads are
88 wide in g and 112 in E; and rotations count places on a grid of 16 by 16, whatever the size of the image. EVA-01's
ViT-B, with biases by distance, is refused.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from typing import Any

from timm.models.eva import Eva
from torch import Tensor, nn

from ssl_bench.checkpoints import clip_vit, vit

INPUT = clip_vit.INPUT
POOLINGS = clip_vit.POOLINGS
CONTAINERS = ("model", "module", "state_dict")
PREFIXES = ("module.", "visual.")
DROPPED = ("text.", "logit_scale", "rope.")
RENAMES = {
    "mlp.ffn_ln.": "mlp.norm.",
    "mlp.w1.": "mlp.fc1_g.",
    "mlp.w2.": "mlp.fc1_x.",
    "mlp.w3.": "mlp.fc2.",
    "attn.inner_attn_ln.": "attn.norm.",
}
SPLIT = {"attn.q_bias": "attn.q_proj.bias", "attn.v_bias": "attn.v_proj.bias"}
"""Biases of towers whose queries, keys and values are layers of their own."""
POST_NORMED = 1792
HEADS = {1408: 16, 1792: 16}


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name norms and gated layers as timm does, and leave out the tables of rotations, which are computed."""
    renames = {**RENAMES, **(SPLIT if "blocks.0.attn.q_proj.weight" in state else {})}
    found = {}
    for key, tensor in state.items():
        name = key
        for theirs, ours in renames.items():
            name = name.replace(theirs, ours)
        if ".rope." not in name:
            found[name] = tensor
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, the outputs, and whether it is EVA-02's kind and how it norms."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    return {
        "width": width,
        "depth": vit.depth_of(state),
        "patch": patch,
        "hidden": state["blocks.0.mlp.fc2.weight"].shape[1],
        "size": math.isqrt(state["pos_embed"].shape[1] - 1) * patch,
        "outputs": state["head.weight"].shape[0],
        "second": "blocks.0.attn.q_proj.weight" in state,
        "inner_norm": "blocks.0.attn.norm.weight" in state,
    }


def build(
    width: int = 768,
    depth: int = 12,
    patch: int = 16,
    hidden: int = 2048,
    size: int = 224,
    outputs: int = 512,
    second: bool = True,
    inner_norm: bool = True,
    *,
    heads: int = 0,
    eps: float = 1e-6,
    post_normed: bool | None = None,
) -> nn.Module:
    """Return the untrained image tower; `second` is EVA-02's kind: rotations, gates and layers apart.

    `post_normed` is known by the width unless it is said, and so are `heads`.
    """
    network: nn.Module = Eva(
        img_size=size,
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads or HEADS.get(width, max(1, width // 64)),
        mlp_ratio=(hidden + 0.5) / width,  # timm rounds the product down
        num_classes=outputs,
        global_pool="token",
        qkv_fused=not second,
        swiglu_mlp=second,
        scale_mlp=second,
        scale_attn_inner=inner_norm,
        use_rot_pos_emb=second,
        ref_feat_shape=(16, 16) if second else None,
        use_post_norm=width == POST_NORMED if post_normed is None else post_normed,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls after the final norm, its projection, and the map of patches after the same norm."""
    assert isinstance(network, Eva)
    vit.check_size(images, network.patch_embed.img_size)
    height, _ = network.patch_embed.grid_size
    found = vit.pooled(network.forward_features(images), 1, height)
    return {"proj": network.head(found["cls"]), "pre_proj": found["cls"], "dense": found["dense"]}
