"""DeiT without distillation (Touvron et al. 2021, https://arxiv.org/abs/2012.12877): supervised vision transformers.

Names as in https://github.com/facebookresearch/deit. Distilled files hold a second token that the strict load refuses:
take them through the adapter timm, as deit_*_distilled_patch16_224, whose feature is the mean of both tokens.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("head.",)
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network without classifier."""
    return vit.build(heads=heads, eps=eps, **shown)
