"""CroCo (Weinzaepfel et al. 2022, https://arxiv.org/abs/2210.10716) and CroCo v2 (2023, 2211.10408): their encoders.

Names as in https://github.com/naver/croco. The first version adds positions from sines; the second, whose files hold
none, rotates queries and keys: half of each head's dimensions by the row, half by the column, wave lengths from 2 pi to
200 pi. There is no cls token, and one image is enough: only the decoder sees two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = ("patch_mean",)
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("dec_", "decoder_", "mask_token", "prediction_head.", "head.")
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name blocks and norm as timm does, and give positions their axis of images."""
    found = {key.removeprefix("enc_"): tensor for key, tensor in state.items()}
    if found.get("pos_embed", torch.zeros(1, 1, 1)).ndim == 2:
        found["pos_embed"] = found["pos_embed"][None]
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, and whether it rotates, which files without positions do."""
    if "pos_embed" in state:
        return {**vit.shown_by(state), "rotated": False}
    shown = vit.shown_by({**state, "pos_embed": torch.zeros(1, 1, 1)})
    del shown["size"]
    return {**shown, "rotated": True}


def build(*, rotated: bool = True, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    if not rotated:
        return vit.build(heads=heads, eps=eps, class_token=False, **shown)
    return RotatedViT(**vit.arguments(heads=heads, eps=eps, **shown))


class RotatedViT(vit.ViT):
    """A vision transformer without stored positions, whose blocks rotate queries and keys by theirs."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(class_token=False, block_fn=RotatedBlock, **arguments)
        self.pos_embed = None

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Tell every block the angles of the grid, and return its patches (images, height * width, dim)."""
        angles = _angles(x.shape[1], x.shape[2], self.embed_dim // self.blocks[0].attn.num_heads).to(x)
        for block in self.blocks:
            block.angles = angles
        return x.flatten(1, 2)


class RotatedBlock(Block):  # type: ignore[misc]  # timm has no types
    """timm's block, with its own attention."""

    angles: Tensor

    def forward(self, x: Tensor, **_: Any) -> Tensor:
        x = x + self._attend(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y

    def _attend(self, x: Tensor) -> Tensor:
        """Return attention (images, tokens, dim) with rotated queries and keys."""
        query, key, value = self.attn.qkv(x).unflatten(2, (3, self.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(_turn(query, self.angles), _turn(key, self.angles), value)
        out: Tensor = self.attn.proj(seen.transpose(1, 2).flatten(2))
        return out


def _angles(height: int, width: int, head: int) -> Tensor:
    """Return the angle of every pair of dimensions (height * width, 2, head / 4): by the row, then by the column."""
    speeds = 100.0 ** -(torch.arange(head // 4) * 4 / head)
    places = torch.cartesian_prod(torch.arange(height), torch.arange(width))
    return places[:, :, None] * speeds


def _turn(tokens: Tensor, angles: Tensor) -> Tensor:
    """Rotate tokens (images, heads, tokens, head): in each half of a head, dimension i with i + a quarter."""
    first, second = tokens.reshape(*tokens.shape[:3], 2, 2, -1).unbind(4)
    cosine, sine = angles.cos(), angles.sin()
    return torch.stack([first * cosine - second * sine, second * cosine + first * sine], dim=4).flatten(3)
