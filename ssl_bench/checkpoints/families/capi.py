"""CAPI (Darcet et al. 2025, https://arxiv.org/abs/2502.08769): a vision transformer with a predictor.

Names as in https://github.com/facebookresearch/capi. Root-mean-square norms without a weight at the end, no biases in
the blocks, positions by rotations with stored frequencies, from 0 to 1 over the image, and 16 registers that stand on
the image's edge. There is no cls token: the authors' global feature, `predicted`, is the mean over what the first block
of the predictor says of every place, asked with the mask token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = ("predicted", "patch_mean", "registers")
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "backbone.")
DROPPED: tuple[str, ...] = ()
renamed = keys.as_named
EPS = 1e-5


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side, heads, registers, and width and depth of the predictor."""
    width, _, _, patch = state["patch_embed.weight"].shape
    return {
        "width": width,
        "depth": vit.depth_of(state, "encoder.blocks."),
        "patch": patch,
        "heads": width // state["encoder.blocks.0.residual1.fn.rope.freqs"].shape[1],
        "registers": state["registers"].shape[1],
        "predictor_width": state["mask_token"].shape[1],
        "predictor_depth": vit.depth_of(state, "decoder.blocks."),
    }


def build(
    width: int = 128,
    depth: int = 2,
    patch: int = 14,
    heads: int = 2,
    registers: int = 16,
    predictor_width: int = 0,
    predictor_depth: int = 1,
) -> nn.Module:
    """Return the untrained network; a predictor is as wide as the encoder and has heads as wide unless it is said."""
    return Capi(width, depth, patch, heads, registers, predictor_width or width, predictor_depth)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean of the predictions, of the patches and of the registers, and the map of patches."""
    assert isinstance(network, Capi)
    tokens, places = network.encode(images)
    count = network.registers.shape[1]
    patches = tokens[:, count:]
    height = images.shape[2] // network.patch
    return {
        "predicted": network.predict(tokens, places).mean(1),
        "patch_mean": patches.mean(1),
        "registers": tokens[:, :count].mean(1),
        "dense": patches.transpose(1, 2).reshape(len(images), patches.shape[2], height, -1),
    }


class Capi(nn.Module):
    """Images (n, 3, height, width) to registers and patches, and those to predictions at every place."""

    def __init__(
        self, width: int, depth: int, patch: int, heads: int, registers: int, predictor_width: int, predictor_depth: int
    ) -> None:
        super().__init__()
        if registers % 4:
            raise ValueError(f"registers stand on the four edges of the image: their number, {registers}, is no 4n")
        self.patch = patch
        self.mask_token = nn.Parameter(torch.zeros(1, predictor_width))
        self.registers = nn.Parameter(torch.zeros(1, registers, width))
        self.patch_embed = nn.Conv2d(3, width, patch, stride=patch)
        head = width // heads
        self.encoder = _blocks(depth, width, width, head)
        self.decoder = _blocks(predictor_depth, predictor_width, width, head)

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens (n, registers + patches, width) after the final norm, and their places (tokens, 2)."""
        grid = self.patch_embed(images)
        places = torch.cat([edge(self.registers.shape[1]), _grid(*grid.shape[2:])]).to(grid)
        tokens = torch.cat([self.registers.expand(len(images), -1, -1), grid.flatten(2).transpose(1, 2)], dim=1)
        for block in self.encoder.get_submodule("blocks").children():
            tokens = block(tokens, tokens, places, places)
        return _norm(tokens), places

    def predict(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Return what the predictor's first block says of each patch's place (n, patches, predictor's width)."""
        asked = places[self.registers.shape[1] :]
        start = self.mask_token[None].expand(len(tokens), len(asked), -1)
        first = next(self.decoder.get_submodule("blocks").children())
        return _norm(first(start, tokens, asked, places))


class CapiBlock(nn.Module):
    """Attention to a context, then a hidden layer of four times the width; each behind a norm, added to its input."""

    def __init__(self, width: int, context: int, head: int) -> None:
        super().__init__()
        self.residual1 = nn.ModuleDict({"norm": nn.RMSNorm(width, EPS), "fn": _Attention(width, context, head)})
        hidden = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width, bias=False), "fc2": nn.Linear(4 * width, width, bias=False)}
        )
        self.residual2 = nn.ModuleDict({"norm": nn.RMSNorm(width, EPS), "fn": hidden})

    def forward(self, tokens: Tensor, context: Tensor, places: Tensor, context_places: Tensor) -> Tensor:
        normed = self.residual1["norm"](tokens)
        seen = normed if context is tokens else context
        tokens = tokens + self.residual1["fn"](normed, seen, places, context_places)
        hidden: Any = self.residual2["fn"]
        out: Tensor = tokens + hidden["fc2"](functional.gelu(hidden["fc1"](self.residual2["norm"](tokens))))
        return out


class _Attention(nn.Module):
    def __init__(self, width: int, context: int, head: int) -> None:
        super().__init__()
        self.head = head
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(context, width, bias=False)
        self.v_proj = nn.Linear(context, width, bias=False)
        self.proj = nn.Linear(width, width, bias=False)
        self.rope = nn.ParameterDict({"freqs": nn.Parameter(torch.randn(2, head))})

    def forward(self, tokens: Tensor, context: Tensor, places: Tensor, context_places: Tensor) -> Tensor:
        query, key, value = (
            layer(given).unflatten(2, (-1, self.head)).transpose(1, 2)
            for layer, given in ((self.q_proj, tokens), (self.k_proj, context), (self.v_proj, context))
        )
        rotated = functional.scaled_dot_product_attention(
            self._rotate(query, places), self._rotate(key, context_places), value
        )
        out: Tensor = self.proj(rotated.transpose(1, 2).flatten(2))
        return out

    def _rotate(self, tokens: Tensor, places: Tensor) -> Tensor:
        """Rotate dimension i with dimension i + half by the angle that place (tokens, 2) and frequencies give."""
        angle: Tensor = places @ self.rope["freqs"]
        first, second = tokens.chunk(2, dim=-1)
        return tokens * angle.cos() + torch.cat([-second, first], dim=-1) * angle.sin()


def edge(count: int) -> Tensor:
    """Return `count` places (count, 2) around the unit square, the same number on each side."""
    step = torch.arange(count // 4) / (count // 4)
    zero, one = torch.zeros_like(step), torch.ones_like(step)
    sides = [(step, zero), (one, step), (1 - step, one), (zero, 1 - step)]
    return torch.cat([torch.stack(side, dim=1) for side in sides])


def _grid(height: int, width: int) -> Tensor:
    """Return the places (height * width, 2) of patches, row by row, from 0 to 1."""
    return torch.cartesian_prod(torch.linspace(0, 1, height), torch.linspace(0, 1, width))


def _blocks(depth: int, width: int, context: int, head: int) -> nn.ModuleDict:
    return nn.ModuleDict({"blocks": nn.ModuleList([CapiBlock(width, context, head) for _ in range(depth)])})


def _norm(tokens: Tensor) -> Tensor:
    return functional.rms_norm(tokens, tokens.shape[-1:], eps=EPS)
