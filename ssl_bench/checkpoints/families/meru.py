"""MERU and its CLIP baselines (Desai et al. 2023, https://arxiv.org/abs/2304.09172): the image towers.

Names as in https://github.com/facebookresearch/meru. The catch: ViT-S has 12 heads of 32 dimensions, and the norms'
epsilon is 1e-5, torch's own; no shape tells. The authors normalise images by ImageNet's mean inside their network, in
the buffers `pixel_mean` and `pixel_std`; here it is done before it. The map to hyperbolic space is left out.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = {"size": (224, 224), "resize": "short"}
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "visual.")
DROPPED = ("head.",)
renamed = keys.as_named
shown_by = vit.shown_with_12_heads
features = vit.features


def build(*, heads: int = 12, eps: float = 1e-5, **shown: Any) -> nn.Module:
    """Return the untrained image tower: ViT-S and ViT-B have 12 heads, ViT-L has 16."""
    return vit.build(heads=heads, eps=eps, **shown)
