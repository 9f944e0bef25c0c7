"""A distance at every place of a map: a mean over distances that are spread evenly from the least to the greatest."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ssl_bench.heads.linear import Linear


class Bins(nn.Module):
    """Maps (images, dim, rows, columns) to distances in metres (images, 1, rows, columns).

    With z the outputs of a linear layer, one for each of `bins` distances b from `least` to `most`, and
    w = max(z, 0) + 0.1, the distance is Σ w b / Σ w: AdaBins' with even bins (Bhat et al., CVPR 2021), FeaturesToDepth
    of dinov3/eval/depth/models/__init__.py (https://github.com/facebookresearch/dinov3), "linear" and "linear".
    """

    bins: Tensor

    def __init__(self, dim: int, bins: int = 256, least: float = 1e-3, most: float = 10.0) -> None:
        super().__init__()
        self.linear = Linear(dim, bins, dropout=0.0)
        self.register_buffer("bins", torch.linspace(least, most, bins), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        weights = self.linear(maps).relu() + 0.1
        return torch.einsum("ikhw,k->ihw", weights / weights.sum(dim=1, keepdim=True), self.bins)[:, None]
