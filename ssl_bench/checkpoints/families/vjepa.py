"""V-JEPA (Bardes et al. 2024, https://arxiv.org/abs/2404.08471): its target encoders, for images.

Names as in https://github.com/facebookresearch/jepa. As in its authors' evaluation on images, an image stands for 16
equal frames, 8 moments of two; their feature is an attentive probe, here the mean over all tokens. The file also holds
`encoder`, with the same names.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import video_vit, vit

INPUT = vit.INPUT
POOLINGS = video_vit.POOLINGS
CONTAINERS = ("target_encoder",)
PREFIXES = ("module.", "backbone.")
DROPPED: tuple[str, ...] = ()
renamed = video_vit.flattened
shown_by = video_vit.shown_by
features = video_vit.features


def build(*, moments: int = 8, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return video_vit.build(moments=moments, stored=True, heads=heads, eps=eps, **shown)
