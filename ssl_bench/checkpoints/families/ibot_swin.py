"""iBOT's Swin transformers (Zhou et al. 2022, https://arxiv.org/abs/2111.07832): Swin-T with windows of 7 or 14.

Names as in https://github.com/bytedance/ibot. Stages end with their downsampling; the feature is the mean over the map
after the final norm, whose epsilon is 1e-6, as that of all norms, where other Swins have 1e-5.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import swin, vit

INPUT = vit.INPUT
POOLINGS = swin.POOLINGS
CONTAINERS = ("teacher", "state_dict")
PREFIXES = ("module.", "backbone.")
DROPPED = ("head.", "masked_embed")
renamed = swin.renamed
shown_by = swin.shown_by
features = swin.features


def build(*, size: int = 224, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return swin.build(size=size, eps=eps, **shown)
