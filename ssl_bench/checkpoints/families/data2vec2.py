"""data2vec 2.0 for images (Baevski et al. 2023, https://arxiv.org/abs/2212.07525).

Names as in https://github.com/facebookresearch/fairseq, folder examples/data2vec. The catches: blocks norm behind each
sum instead of before each layer; a norm stands before the first block and none behind the last; and the cls token has
no position. Blocks of the image encoder come before the common ones. The file holds the averaged weights under `_ema`
within `model`: the authors fine-tune without them; `container = "model._ema"` in [weights] takes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = ("patch_mean", "cls", "cls+patch_mean")
CONTAINERS = ("model",)
PREFIXES = ("module.",)
ENCODER = "modality_encoders.IMAGE."
DROPPED = (f"{ENCODER}decoder", f"{ENCODER}alibi", f"{ENCODER}encoder_mask", "_ema", "recon_proj", "shared_decoder")
RENAMES = {
    f"{ENCODER}extra_tokens": "cls_token",
    f"{ENCODER}fixed_positional_encoder.positions": "pos_embed",
    f"{ENCODER}positional_encoder.pos_embed": "pos_embed",
    f"{ENCODER}local_encoder.proj.": "patch_embed.proj.",
    f"{ENCODER}context_encoder.norm.": "norm_pre.",
}
shown_by = vit.shown_by
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name layers as timm does, count the image encoder's blocks first, and give cls a position of zero."""
    first = f"{ENCODER}context_encoder.blocks."
    before = vit.depth_of(state, first)
    found = {}
    for key, tensor in state.items():
        name = re.sub(r"^blocks\.(\d+)", lambda block: f"blocks.{int(block[1]) + before}", key)
        name = name.replace(first, "blocks.")
        for theirs, ours in RENAMES.items():
            name = name.replace(theirs, ours)
        found[name] = tensor
    if found.keys() != state.keys():
        positions = found["pos_embed"]
        found["pos_embed"] = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    return found


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network."""
    network = vit.build(heads=heads, eps=eps, block_fn=PostNormBlock, final_norm=False, **shown)
    network.norm_pre = nn.LayerNorm(network.embed_dim, eps=eps)
    return network


class PostNormBlock(Block):  # type: ignore[misc]  # timm has no types
    """A block that norms the sum of its input and a layer's output."""

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        x = self.norm1(x + self.attn(x))
        y: Tensor = self.norm2(x + self.mlp(x))
        return y
