"""CatLIP (Mehta et al. 2024, https://arxiv.org/abs/2404.15653): vision transformers that learned the nouns of captions.

Names as in https://github.com/apple/corenet, whose vision transformers all have them. The catches: three convolutions
cut the patches, the first of them padded; cls has no position, and positions reach another size as one sequence, not as
a grid; heads are 64 wide in ViT-H, too; and the network sees pixels of 0..1, not normalised.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import vit

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "resize_to": 232,
    "interpolation": "bilinear",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}
POOLINGS = vit.POOLINGS
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.",)
DROPPED = ("classifier.", "neural_augmentor.", "simple_fpn.")
RENAMES = (
    (r"^patch_emb\.(\d)\.block\.", r"patch_embed.proj.\1."),
    (r"^pos_embed\.pos_embed\.pos_embed$", "pos_embed"),
    (r"^post_transformer_norm\.", "norm."),
    (r"^transformer\.(\d+)\.", r"blocks.\1."),
    (r"\.pre_norm_mha\.0\.", ".norm1."),
    (r"\.pre_norm_mha\.1\.qkv_proj\.", ".attn.qkv."),
    (r"\.pre_norm_mha\.1\.out_proj(?:_attn)?\.", ".attn.proj."),
    (r"\.pre_norm_ffn\.0\.", ".norm2."),
    (r"\.pre_norm_ffn\.1\.", ".mlp.fc1."),
    (r"\.pre_norm_ffn\.4\.", ".mlp.fc2."),
)
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as timm does, and let positions be (1, patches, dim)."""
    found = {}
    for key, tensor in state.items():
        name = key
        for theirs, ours in RENAMES:
            name = re.sub(theirs, ours, name)
        found[name] = tensor
    found["pos_embed"] = found["pos_embed"].reshape(1, -1, found["pos_embed"].shape[-1])
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, hidden width of the blocks, and the image size that the positions are for."""
    return {
        "width": state["patch_embed.proj.2.conv.weight"].shape[0],
        "depth": vit.depth_of(state),
        "hidden": state["blocks.0.mlp.fc1.weight"].shape[0],
        "size": math.isqrt(state["pos_embed"].shape[1]) * 16,
    }


def build(
    width: int = 768, depth: int = 12, hidden: int = 0, size: int = 224, *, heads: int = 0, eps: float = 1e-6
) -> nn.Module:
    """Return the untrained network; 0 stands for the usual: `hidden` 4 width, `heads` of 64 dimensions each."""
    heads = heads or max(1, width // 64)
    return CatlipViT(**vit.arguments(width, depth, 16, hidden, size, heads=heads, eps=eps))


class CatlipViT(vit.ViT):
    """A vision transformer whose patches are cut by three convolutions, and whose cls token has no position."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(no_embed_class=True, **arguments)
        width = int(arguments["embed_dim"])
        self.patch_embed.proj = _stem(max(32, width // 4), width)

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add positions, interpolated along their sequence, to patches (images, height, width, dim), cls first."""
        assert self.pos_embed is not None
        tokens, places = x.flatten(1, 2), self.pos_embed
        if tokens.shape[1] != places.shape[1]:
            places = functional.interpolate(places[None], size=tokens.shape[1:], mode="bilinear")[0]
        return torch.cat([self.cls_token.expand(len(x), -1, -1), tokens + places], dim=1)


def _stem(narrow: int, width: int) -> nn.Sequential:
    """Return convolutions of strides 4, 2 and 2: (images, 3, 16 h, 16 w) to (images, width, h, w)."""
    return nn.Sequential(
        _normed(nn.Conv2d(3, narrow, 4, 4, padding=1, bias=False), narrow),
        _normed(nn.Conv2d(narrow, narrow, 2, 2, bias=False), narrow),
        nn.Sequential(OrderedDict(conv=nn.Conv2d(narrow, width, 2, 2))),
    )


def _normed(conv: nn.Module, width: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(width), act=nn.GELU()))
