"""A plain vision transformer as the trunk of a detector, as ViTDet makes one: attention in windows, positions relative.

Li et al. 2022 (https://arxiv.org/abs/2203.16527); detectron2/modeling/backbone/vit.py of
https://github.com/facebookresearch/detectron2. Tokens are patches of 16 pixels alone: cls, registers and the final norm
are left out, and patches of another size are resampled. Blocks stay the network's own, with all that stands in them
(LayerScale, gated MLPs, norms of queries and keys): what changes is which tokens its attention sees.

Positions that are learnt for every place are interpolated to the grid, bicubically. Relative ones:

    none          a table of each axis is added to what a query says of a key, 0 before training, as ViTDet's
    rotary        are those of a window's tokens, and no tables stand beside them
    BEiT's table  is resampled to the window, without cls
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from timm.layers import resample_patch_embed
from timm.layers.attention import Attention, AttentionRope
from timm.models.beit import Attention as BeitAttention
from timm.models.beit import Beit
from timm.models.deit import VisionTransformerDistilled
from timm.models.eva import Eva, EvaAttention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints.vit import ViT
from ssl_bench.errors import UsageError

PATCH = 16
"""Pixels of a patch's side."""
KNOWN = (Attention, AttentionRope, BeitAttention, EvaAttention)
"""Kinds of attention that windows can be put around."""
PLAIN = (VisionTransformer, VisionTransformerDistilled, ViT, Beit, Eva)
"""Networks whose tokens are told what stands in them here and no more; heirs of these may tell them other things."""


class Trunk(nn.Module):
    """Normalised images (images, channels, height, width) to (images, dim, height / 16, width / 16).

    It takes the network over: positions, patches and attention are changed in place. Sides of images are multiples of
    16. Raises UsageError for a network that is no plain vision transformer of timm's kind.
    """

    def __init__(self, network: Any, side: int, window: int = 14, everywhere: Sequence[int] | None = None) -> None:
        """`side` is that of the images, for which tables of relative positions are made; `everywhere` are the blocks
        that attend to the whole image, the last of each quarter if None; with `window` 0 all do."""
        super().__init__()
        if not fits(network):
            raise UsageError(
                f"{type(network).__name__} is no vision transformer whose attention could be given windows; "
                "attention=own leaves it as it is"
            )
        self.network, self.window = network, window
        depth = len(network.blocks)
        self.everywhere = quarters(depth) if everywhere is None else tuple(everywhere)
        self.width = int(network.patch_embed.proj.out_channels)
        network.pos_embed = _positions_of_patches(network)
        network.patch_embed.proj = _resampled(network.patch_embed.proj)
        for number, block in enumerate(network.blocks):
            within = 0 if number in self.everywhere else window
            grid = within or side // PATCH
            block.attn = Windowed(block.attn, _positions_of(network, block.attn, grid), within)

    def forward(self, images: Tensor) -> Tensor:
        network: Any = self.network
        tokens = network.patch_embed.norm(network.patch_embed.proj(images).permute(0, 2, 3, 1))
        if network.pos_embed is not None:
            tokens = tokens + stretched(network.pos_embed, tokens.shape[1:3])
        tokens = getattr(network, "norm_pre", nn.Identity())(tokens)
        for block in network.blocks:
            tokens = block(tokens)
        return tokens.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class Windowed(nn.Module):
    """A block's attention over tokens (images, height, width, dim), each window of them for itself.

    Windows at the lower and right edge are filled up with zeros, which take part, as in ViTDet.
    """

    def __init__(self, attn: Any, positions: nn.Module, window: int) -> None:
        super().__init__()
        self.attn, self.positions, self.window = attn, positions, window
        if hasattr(attn, "num_prefix_tokens"):
            attn.num_prefix_tokens = 0

    def forward(self, grid: Tensor, **unused: Any) -> Tensor:
        whole = (grid.shape[1], grid.shape[2])
        parts = parted(grid, self.window) if self.window else grid
        tokens = parts.flatten(1, 2)
        said = self.positions(self.attn, tokens, (parts.shape[1], parts.shape[2]), whole)
        found: Tensor = self.attn(tokens, **said).view(parts.shape)
        return joined(found, whole) if self.window else found


class Tables(nn.Module):
    """Relative positions as ViTDet's: a row of each table for every distance, times the query."""

    def __init__(self, attn: Any, side: int) -> None:
        super().__init__()
        width = attn.proj.in_features // attn.num_heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width))

    def forward(self, attn: Any, tokens: Tensor, side: tuple[int, int], whole: tuple[int, int]) -> dict[str, Tensor]:
        """Return what is added to attention (windows, heads, tokens, tokens)."""
        height, width = side
        query = _queries(attn, tokens)
        query = query.view(*query.shape[:2], height, width, -1)  # (windows, heads, height, width, dim of a head)
        rows = torch.einsum("nhyxd,ykd->nhyxk", query, _between(self.rel_pos_h, height))
        columns = torch.einsum("nhyxd,xkd->nhyxk", query, _between(self.rel_pos_w, width))
        total = rows[..., :, None] + columns[..., None, :]
        return {"attn_mask": total.reshape(*total.shape[:2], height * width, height * width)}


class Rotary(nn.Module):
    """Rotary positions of a window's tokens: only differences count, so that all windows have those of the first."""

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.rope = rope

    def forward(self, attn: Any, tokens: Tensor, side: tuple[int, int], whole: tuple[int, int]) -> dict[str, Tensor]:
        """Return sines and cosines (tokens, 2 dim of a head)."""
        height, width = max(side[0], whole[0]), max(side[1], whole[1])
        rope: Any = self.rope
        found = rope.get_embed(shape=[height, width])
        if len(found) != height * width:  # it was made for one grid
            rope.update_feat_shape([height, width])
            found = rope.get_embed()
        return {"rope": found.view(height, width, -1)[: side[0], : side[1]].flatten(0, 1)}


class Biases(nn.Module):
    """BEiT's table of relative positions, (distances + 3, heads), without the last three, which are of cls."""

    def __init__(self, table: nn.Parameter, window: tuple[int, int]) -> None:
        super().__init__()
        self.relative_position_bias_table = table
        self.stored = (2 * window[0] - 1, 2 * window[1] - 1)

    def forward(self, attn: Any, tokens: Tensor, side: tuple[int, int], whole: tuple[int, int]) -> dict[str, Tensor]:
        """Return what is added to attention (1, heads, tokens, tokens)."""
        height, width = side
        table = self.relative_position_bias_table[:-3].view(*self.stored, -1).permute(2, 0, 1)[None]
        if self.stored != (wanted := (2 * height - 1, 2 * width - 1)):
            table = functional.interpolate(table, size=wanted, mode="bicubic", align_corners=False)
        rows, columns = _distances(height, table.device), _distances(width, table.device)
        bias = table[0][:, rows[:, None, :, None], columns[None, :, None, :]]  # (heads, height, width, height, width)
        return {"shared_rel_pos_bias": bias.reshape(1, -1, height * width, height * width)}


def fits(network: Any) -> bool:
    """True for a vision transformer whose tokens and attention are known here."""
    if type(network) not in PLAIN or getattr(network, "rope_mixed", False):
        return False
    proj = getattr(network.patch_embed, "proj", None)
    if not isinstance(proj, nn.Conv2d) or proj.kernel_size != proj.stride or not hasattr(network.patch_embed, "norm"):
        return False
    return all(type(getattr(block, "attn", None)) in KNOWN for block in network.blocks)


def quarters(depth: int) -> tuple[int, ...]:
    """Return the last block of each quarter: 2, 5, 8 and 11 of 12."""
    return tuple(sorted({max(0, depth * part // 4 - 1) for part in (1, 2, 3, 4)}))


def parted(grid: Tensor, window: int) -> Tensor:
    """Return tokens (images, height, width, dim) as (images · windows, window, window, dim), zeros at the far edges."""
    down, right = -grid.shape[1] % window, -grid.shape[2] % window
    grid = functional.pad(grid, (0, 0, 0, right, 0, down))
    rows, columns = grid.shape[1] // window, grid.shape[2] // window
    parts = grid.view(len(grid), rows, window, columns, window, -1)
    return parts.transpose(2, 3).flatten(0, 2)


def joined(parts: Tensor, size: tuple[int, int]) -> Tensor:
    """Return windows (images · windows, window, window, dim) as the grid (images, height, width, dim) of this size."""
    window = parts.shape[1]
    rows, columns = (math.ceil(side / window) for side in size)
    grid = parts.view(-1, rows, columns, *parts.shape[1:]).transpose(2, 3).flatten(1, 2).flatten(2, 3)
    return grid[:, : size[0], : size[1]]


def stretched(positions: Tensor, size: Sequence[int]) -> Tensor:
    """Return positions (1, dim, rows, columns) as (1, height, width, dim)."""
    if tuple(positions.shape[2:]) != tuple(size):
        positions = functional.interpolate(positions, size=tuple(size), mode="bicubic", align_corners=False)
    return positions.permute(0, 2, 3, 1)


def _positions_of_patches(network: Any) -> nn.Parameter | None:
    """Return the learnt positions of patches (1, dim, rows, columns); None where a network has none."""
    stored = getattr(network, "pos_embed", None)
    if stored is None:
        return None
    rows, columns = network.patch_embed.grid_size
    patches = stored.detach()[:, stored.shape[1] - rows * columns :]
    return nn.Parameter(patches.reshape(1, rows, columns, -1).permute(0, 3, 1, 2).clone())


def _resampled(proj: nn.Conv2d) -> nn.Conv2d:
    """Return the projection of patches of 16 pixels that says the same of a patch as `proj` of a smaller or larger one.

    Beyer et al. 2023 (https://arxiv.org/abs/2212.08013); ViTDet's authors brought their ViT-H/14 to 16 too.
    """
    if proj.kernel_size == (PATCH, PATCH):
        return proj
    found = nn.Conv2d(proj.in_channels, proj.out_channels, PATCH, stride=PATCH, bias=proj.bias is not None)
    found.weight = nn.Parameter(resample_patch_embed(proj.weight.detach(), [PATCH, PATCH]))
    if proj.bias is not None:
        found.bias = nn.Parameter(proj.bias.detach().clone())
    return found


def _positions_of(network: Any, attn: Any, side: int) -> nn.Module:
    """Return the relative positions of one block's attention, over grids of up to `side`."""
    if isinstance(attn, BeitAttention):
        shared = getattr(network, "rel_pos_bias", None)
        owner = shared if shared is not None else attn
        table, window = owner.relative_position_bias_table, owner.window_size
        if table is None:
            raise UsageError(f"{type(network).__name__} has no relative positions, which its attention is made for")
        attn.relative_position_bias_table = None
        return Biases(table, window)
    rope = getattr(network, "rope", None)
    return Tables(attn, side) if rope is None else Rotary(rope)


def _queries(attn: Any, tokens: Tensor) -> Tensor:
    """Return the queries (windows, heads, tokens, dim of a head) as attention makes them."""
    if getattr(attn, "qkv", None) is not None:
        width = attn.qkv.out_features // 3
        bias = attn.qkv.bias[:width] if attn.qkv.bias is not None else getattr(attn, "q_bias", None)
        query = functional.linear(tokens, attn.qkv.weight[:width], bias)
    else:
        query = attn.q_proj(tokens)
    heads = query.view(*query.shape[:2], attn.num_heads, -1).transpose(1, 2)
    return attn.q_norm(heads)  # type: ignore[no-any-return]


def _between(table: Tensor, side: int) -> Tensor:
    """Return the row for every two places of an axis (side, side, dim); another length is interpolated."""
    if len(table) != 2 * side - 1:
        table = functional.interpolate(table.T[None], size=2 * side - 1, mode="linear")[0].T
    return table[_distances(side, table.device)]


def _distances(side: int, device: Any) -> Tensor:
    """Return the number, from 0, of the distance of every two places of an axis (side, side)."""
    places = torch.arange(side, device=device)
    return places[:, None] - places[None, :] + side - 1
