"""SLIP and its CLIP and SimCLR baselines (Mu et al. 2021, https://arxiv.org/abs/2112.12750): the image towers.

Names as in https://github.com/facebookresearch/SLIP. The catch: its ViT-S is MoCo v3's, 12 heads of 32 dimensions, and
no shape tells. The authors' linear probe takes cls after the final norm; the projection to the space of text is left.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = {**vit.INPUT, "interpolation": "bilinear"}
POOLINGS = vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "visual.")
DROPPED = ("head.",)
renamed = keys.as_named
shown_by = vit.shown_with_12_heads
features = vit.features


def build(*, heads: int = 12, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained image tower: ViT-S and ViT-B have 12 heads, ViT-L has 16."""
    return vit.build(heads=heads, eps=eps, **shown)
