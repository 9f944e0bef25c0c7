"""DINOv3's vision transformers (Siméoni et al. 2025, https://arxiv.org/abs/2508.10104).

Names as in https://github.com/facebookresearch/dinov3. Positions are rotations, computed anew for each size. The
catches: norms have an epsilon of 1e-5, the bias of keys is masked to zero, heads of ViT-H+ are 64 wide where those of
other ViT-H are 80, and the four storage tokens behind cls belong to no pooling. Networks trained on satellite images
(sat493m) have other statistics of the input, which a card says in [input].
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from timm.models.eva import Eva
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT: Mapping[str, Any] = {"size": (256, 256), "resize": "short", "resize_to": 256}
POOLINGS = vit.POOLINGS
CONTAINERS = ("teacher",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("mask_token", "rope_embed.", "local_cls_norm.", "dino_head.", "ibot_head.")
RENAMES = (
    (r"storage_tokens", "reg_token"),
    (r"ls1\.gamma", "gamma_1"),
    (r"ls2\.gamma", "gamma_2"),
    (r"mlp\.w1\.", "mlp.fc1_g."),
    (r"mlp\.w2\.", "mlp.fc1_x."),
    (r"mlp\.w3\.", "mlp.fc2."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name tokens, layer scales and gated layers as timm does, and keep the biases of queries and values alone."""
    found = {}
    for name, tensor in keys.renamed_by(RENAMES, state).items():
        if name.endswith("qkv.bias"):
            found[name.replace("qkv.bias", "q_bias")], _, found[name.replace("qkv.bias", "v_bias")] = tensor.chunk(3)
        elif not name.endswith("qkv.bias_mask"):
            found[name] = tensor
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, hidden width, storage tokens, and which of the optional parts there are."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    gated = "blocks.0.mlp.fc1_g.weight" in state
    return {
        "width": width,
        "depth": vit.depth_of(state),
        "patch": patch,
        "hidden": state["blocks.0.mlp.fc2.weight"].shape[1],
        "registers": state["reg_token"].shape[1],
        "gated": gated,
        "biased": "blocks.0.attn.q_bias" in state,
    }


def build(
    width: int = 384,
    depth: int = 12,
    patch: int = 16,
    hidden: int = 0,
    registers: int = 4,
    gated: bool = False,
    biased: bool = True,
    *,
    heads: int = 0,
    eps: float = 1e-5,
) -> nn.Module:
    """Return the untrained network; 0 stands for the usual: `hidden` 4 width, heads of 64 dimensions, 128 in the 7B."""
    network: nn.Module = Eva(
        patch_size=patch,
        embed_dim=width,
        depth=depth,
        num_heads=heads or (32 if width == 4096 else max(1, width // 64)),
        mlp_ratio=((hidden or 4 * width) + 0.5) / width,  # timm rounds the product down
        swiglu_mlp=gated,
        swiglu_align_to=int(gated),  # any number keeps gate and value apart, as the files have them
        qkv_bias=biased,
        num_reg_tokens=registers,
        init_values=1e-5,
        num_classes=0,
        global_pool="token",
        use_fc_norm=False,
        dynamic_img_size=True,
        use_abs_pos_emb=False,
        use_rot_pos_emb=True,
        rope_type="dinov3",
        rope_temperature=100.0,
        rope_rotate_half=True,
        norm_layer=functools.partial(nn.LayerNorm, eps=eps),
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, mean over patches, both side by side, and the map of patches, all after the final norm."""
    assert isinstance(network, Eva)
    patch = network.patch_embed.patch_size[0]
    return vit.pooled(network.forward_features(images), network.num_prefix_tokens, images.shape[2] // patch)
