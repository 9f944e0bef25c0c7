"""MoCo v3's vision transformers (Chen et al. 2021, https://arxiv.org/abs/2104.02057).

Names as in https://github.com/facebookresearch/moco-v3. The catch: its ViT-S has 12 heads of 32 dimensions where all
others have 6 of 64, and no shape tells. The file also holds a momentum encoder; the authors evaluate `base_encoder`.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = {**vit.INPUT, "interpolation": "bilinear"}
POOLINGS = vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "base_encoder.")
DROPPED = ("head.",)
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 12, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network: ViT-S and ViT-B have 12 heads alike."""
    return vit.build(heads=heads, eps=eps, **shown)
