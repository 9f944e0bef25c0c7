"""FLAIR (Xiao et al. 2024, https://arxiv.org/abs/2412.03561): its image tower, before any text conditions it.

Names as in https://github.com/ExplainableML/flair, which are OpenCLIP's; the tower has no projection, because text
attends to its patches in `visual_proj`, which is left out. The activation is GELU.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import clip_vit, vit

INPUT = clip_vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "visual.")
DROPPED: tuple[str, ...] = ()  # text tower, poolings and projections do not bear the prefix
renamed = clip_vit.renamed
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-5, **shown: Any) -> nn.Module:
    """Return the untrained image tower."""
    return vit.build(heads=heads, eps=eps, pre_norm=True, **shown)
