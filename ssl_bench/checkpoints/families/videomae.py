"""VideoMAE (Tong et al. 2022, https://arxiv.org/abs/2203.12602): its encoders before fine-tuning, for images.

Names as in https://github.com/MCG-NJU/VideoMAE. An image stands for 16 equal frames, 8 moments of two: `moments` = 1
in [arch] takes an eighth of the time and gives other features. The catches: positions are sines over all tokens of a
clip in one row, which no file holds; and keys have no bias.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import video_vit, vit

INPUT = vit.INPUT
POOLINGS = video_vit.POOLINGS
CONTAINERS = ("model", "module")
PREFIXES = ("module.", "encoder.")
DROPPED = ("decoder.", "mask_token", "head.")
shown_by = video_vit.shown_by
features = video_vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum the patch embedding over frames, and give keys a bias of zero."""
    found = video_vit.flattened(state)
    for key in [key for key in found if key.endswith(".q_bias")]:
        block = key.removesuffix("q_bias")
        query, value = found.pop(key), found.pop(f"{block}v_bias")
        found[f"{block}qkv.bias"] = torch.cat([query, torch.zeros_like(query), value])
    return found


def build(*, moments: int = 8, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return video_vit.build(moments=moments, stored=False, heads=heads, eps=eps, **shown)
