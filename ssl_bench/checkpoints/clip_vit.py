"""The image towers of CLIP: OpenAI's names of a vision transformer, which all that were trained in its layout share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from timm.layers import QuickGELU
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
POOLINGS = ("proj", "pre_proj")
PREFIXES = ("module.", "visual.")
"""The text tower, and what belongs to both, do not bear the second."""
RENAMES = (
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^ln_pre\.", "norm_pre."),
    (r"^ln_post\.", "norm."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.in_proj_", ".qkv."),
    (r"\.out_proj\.", ".proj."),
    (r"\.c_fc\.", ".fc1."),
    (r"\.c_proj\.", ".fc2."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as timm does, and give cls and positions their axis of images."""
    found = keys.renamed_by(RENAMES, state)
    found["cls_token"] = found["cls_token"].reshape(1, 1, -1)
    found["pos_embed"] = found["pos_embed"].reshape(1, -1, found["cls_token"].shape[2])
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, and the outputs of the projection."""
    return {**vit.shown_by(state), "outputs": state["proj"].shape[1]}


def build(*, outputs: int = 512, heads: int = 0, eps: float = 1e-5, quick_gelu: bool = True, **shown: Any) -> nn.Module:
    """Return the untrained image tower."""
    activation = {"act_layer": QuickGELU} if quick_gelu else {}
    network = vit.build(heads=heads, eps=eps, pre_norm=True, **activation, **shown)
    network.proj = nn.Parameter(torch.randn(network.embed_dim, outputs) / math.sqrt(network.embed_dim))
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls after the final norm, its projection, and the map of patches after the same norm."""
    assert isinstance(network, vit.ViT)
    found = vit.features(network, images)
    return {"proj": found["cls"] @ network.proj, "pre_proj": found["cls"], "dense": found["dense"]}
