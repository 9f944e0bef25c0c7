"""ChAda-ViT (Bourriez et al. 2023, https://arxiv.org/abs/2311.15264): every channel of an image has tokens of its own.

Names as in https://github.com/nicoboou/chadavit. Red, green and blue are the first three of its ten channels. The
catches: each block norms its input for attention, adds it to the input that was not normed, and norms the sum with the
same norm again; and the trainer makes 2 heads, where the notebook of the repository makes 12: no shape tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys, vit

INPUT: Mapping[str, Any] = {"size": (224, 224), "resize": "short", "resize_to": 256}
POOLINGS = ("cls", "patch_mean", "cls+patch_mean")
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "encoder.", "backbone.")
DROPPED = ("head.",)
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, hidden width, most channels, and the image size that the positions are for."""
    width, _, _, patch = state["token_learner.proj.weight"].shape
    return {
        "width": width,
        "depth": vit.depth_of(state),
        "patch": patch,
        "hidden": state["blocks.0.linear1.weight"].shape[0],
        "channels": state["channel_token"].shape[1],
        "size": math.isqrt(state["pos_embed"].shape[2] - 1) * patch,
    }


def build(
    width: int = 192,
    depth: int = 12,
    patch: int = 16,
    hidden: int = 2048,
    channels: int = 10,
    size: int = 224,
    *,
    heads: int = 2,
    eps: float = 1e-6,
) -> nn.Module:
    """Return the untrained network; `eps` is that of the final norm alone."""
    return ChadaViT(width, depth, patch, hidden, channels, size, heads, eps)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, the mean over all tokens of all channels, both side by side, and the mean over channels as a map."""
    assert isinstance(network, ChadaViT)
    tokens = network(images)
    patches = tokens[:, 1:].unflatten(1, (images.shape[1], -1)).mean(1)
    return vit.pooled(torch.cat([tokens[:, :1], patches], dim=1), 1, images.shape[2] // network.patch)


class ChadaViT(nn.Module):
    """Images (n, channels, height, width) to tokens (n, 1 + channels * patches, width)."""

    def __init__(
        self, width: int, depth: int, patch: int, hidden: int, channels: int, size: int, heads: int, eps: float
    ) -> None:
        super().__init__()
        self.patch, self.grid = patch, size // patch
        self.token_learner = nn.ModuleDict({"proj": nn.Conv2d(1, width, patch, patch)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.channel_token = nn.Parameter(torch.zeros(1, channels, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1, self.grid**2 + 1, width))
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=eps)

    def forward(self, images: Tensor) -> Tensor:
        n, channels, height, width = images.shape
        patches = self.token_learner["proj"](images.reshape(n * channels, 1, height, width)).flatten(2).transpose(1, 2)
        grid = (height // self.patch, width // self.patch)
        places = vit.interpolate(self.pos_embed[0, :, 1:], (self.grid, self.grid), grid, "scaled")
        tokens = patches.unflatten(0, (n, channels)) + places + self.channel_token[:, :channels]
        x = torch.cat([(self.cls_token + self.pos_embed[0, :, :1]).expand(n, -1, -1), tokens.flatten(1, 2)], dim=1)
        for block in self.blocks:
            x = block(x)
        normed: Tensor = self.norm(x)
        return normed


class Block(nn.Module):
    """Attention and two layers with ReLU between them, by torch's names of its encoder layer."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        heard = self.norm1(x)
        x = self.norm1(x + self.self_attn(heard, heard, heard, need_weights=False)[0])
        found: Tensor = self.norm2(x + self.linear2(functional.relu(self.linear1(x))))
        return found
