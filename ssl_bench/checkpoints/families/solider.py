"""SOLIDER (Chen et al. 2023, https://arxiv.org/abs/2303.17602): Swin transformers for images of people.

Names as in https://github.com/tinyvision/SOLIDER, which are OpenMMLab's. The catches: behind each stage a controller
scales and shifts the map, by how much it shall say of semantics and how much of appearance, `semantic` in [arch], from
0 to 1, 1 in the authors' demonstration; and four places are merged colour by colour, not place by place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.swin_transformer import SwinTransformer
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys, swin, vit

INPUT = vit.INPUT
POOLINGS = swin.POOLINGS
CONTAINERS = ("teacher", "state_dict", "model")
PREFIXES = ("module.", "backbone.")
DROPPED = ("head.", "norm0.", "norm1.", "norm2.")
RENAMES = (
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^stages\.", "layers."),
    (r"\.attn\.w_msa\.", ".attn."),
    (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
    (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
    (r"^norm3\.", "norm."),
)
shown_by = swin.shown_by
features = swin.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name layers as timm does, and order what a downsampling merges by column, row and colour."""
    found = {}
    for key, tensor in state.items():
        name = keys.renamed_key(RENAMES, key)
        merges = name != key and ".downsample." in name
        found[name] = _by_place(tensor) if merges else tensor
    return swin.renamed(found)


def _by_place(tensor: Tensor) -> Tensor:
    """Return (…, colour * row * column) of two rows and columns as (…, column * row * colour)."""
    parts = tensor.reshape(*tensor.shape[:-1], -1, 2, 2)
    return parts.transpose(-1, -3).reshape(tensor.shape)


def build(*, semantic: float = 1.0, size: int = 224, eps: float = 1e-5, **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return SoliderSwin(semantic, swin.arguments(size=size, eps=eps, **shown))


class SoliderSwin(SwinTransformer):  # type: ignore[misc]  # timm has no types
    """A Swin transformer whose maps are scaled and shifted behind each downsampling."""

    def __init__(self, semantic: float, arguments: Mapping[str, Any]) -> None:
        super().__init__(**arguments, always_partition=True)  # also shift the windows of a map that is one window
        if not 0 <= semantic <= 1:
            raise ValueError(f"semantic is a share from 0 to 1, not {semantic}")
        stages = len(self.layers)
        widths = [arguments["embed_dim"] * 2 ** min(stage + 1, stages - 1) for stage in range(stages)]
        self.semantic = semantic
        self.semantic_embed_w = nn.ModuleList([nn.Linear(2, width) for width in widths])
        self.semantic_embed_b = nn.ModuleList([nn.Linear(2, width) for width in widths])

    def forward_features(self, x: Tensor) -> Tensor:
        """Return the last map (images, height, width, dim) after the final norm; the last controller is not asked."""
        x = self.patch_embed(x)
        asked = torch.tensor([self.semantic, 1 - self.semantic]).to(x)
        for index, stage in enumerate(self.layers):
            x = stage.downsample(x)
            if index:
                scale = functional.softplus(self.semantic_embed_w[index - 1](asked))
                x = x * scale + self.semantic_embed_b[index - 1](asked)
            x = stage.blocks(x)
        normed: Tensor = self.norm(x)
        return normed
