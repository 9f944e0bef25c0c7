"""Relative positions and layer scale for a vision transformer that was pretrained without them.

Both change nothing at first: tables begin at 0 and scales at 1. MAE was fine-tuned for segmentation with them (BEiT's
code, https://github.com/microsoft/unilm, beit/semantic_segmentation; the backbone `MAE` of mmsegmentation).
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

BESIDE = 3
"""Entries of a table for pairs with a token of no place: from it, to it, and among such tokens."""


def add(network: Any, grid: tuple[int, int]) -> bool:
    """Give every block of a transformer of timm what it lacks, for maps of this many rows and columns, in place.

    Returns False, and changes nothing, for a network whose attention has relative positions or takes none.
    """
    blocks = list(getattr(network, "blocks", ()))
    if not blocks or not all(_takes_bias(getattr(block, "attn", None)) for block in blocks):
        return False
    for block in blocks:
        block.attn = Biased(block.attn, grid, int(network.num_prefix_tokens))
        width = block.attn.own.qkv.in_features
        for place in ("ls1", "ls2"):
            if isinstance(getattr(block, place, None), nn.Identity):
                setattr(block, place, Scale(width))
    return True


def _takes_bias(attention: Any) -> bool:
    """True for timm's plain attention of all tokens with all, to whose products a mask of numbers can be added; that of
    networks with rotary positions takes more."""
    return (
        isinstance(getattr(attention, "qkv", None), nn.Linear)
        and not hasattr(attention, "relative_position_bias_table")
        and list(inspect.signature(attention.forward).parameters)[1:] in (["attn_mask"], ["attn_mask", "is_causal"])
    )


class Biased(nn.Module):
    """Attention to which a number for each head and offset between two places is added."""

    index: Tensor

    def __init__(self, own: Any, grid: tuple[int, int], prefix: int) -> None:
        super().__init__()
        self.own = own
        rows, columns = grid
        offsets = (2 * rows - 1) * (2 * columns - 1)
        self.table = nn.Parameter(torch.zeros(offsets + BESIDE, own.num_heads, device=own.qkv.weight.device))
        self.register_buffer("index", offsets_of(grid, prefix).to(own.qkv.weight.device), persistent=False)

    def forward(self, tokens: Tensor, *_: Any, **__: Any) -> Tensor:
        """Return what attention makes of tokens (images, prefix + rows * columns, dim)."""
        bias = self.table[self.index].permute(2, 0, 1)  # (heads, tokens, tokens)
        found: Tensor = self.own(tokens, attn_mask=bias[None].to(tokens.dtype))
        return found


class Scale(nn.Module):
    """Multiplies a branch by a learnt number for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, branch: Tensor) -> Tensor:
        return branch * self.gamma


def offsets_of(grid: tuple[int, int], prefix: int) -> Tensor:
    """Return the entry of the table for each pair of tokens (tokens, tokens): the offset of their places, row by row,
    and behind all offsets those of pairs with one of the `prefix` tokens."""
    rows, columns = grid
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")).flatten(1)
    down, right = places[:, :, None] - places[:, None, :]  # (places, places) each
    count = (2 * rows - 1) * (2 * columns - 1)
    index = torch.full((prefix + rows * columns,) * 2, count + 2)
    index[prefix:, prefix:] = (down + rows - 1) * (2 * columns - 1) + right + columns - 1
    index[:prefix, prefix:] = count
    index[prefix:, :prefix] = count + 1
    return index
