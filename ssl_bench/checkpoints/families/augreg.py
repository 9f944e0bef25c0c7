"""Google's supervised vision transformers with cls (Steiner et al. 2021, https://arxiv.org/abs/2106.10270) as `.npz`.

Names as in https://github.com/google-research/vision_transformer and big_vision. The catch: the activation is the tanh
approximation of GELU, where timm's copies of these weights have GELU itself. Classifier and `pre_logits` are left out.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import flax_vit, vit

INPUT = {
    "size": (224, 224),
    "resize": "squash",
    "interpolation": "bilinear",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
POOLINGS = vit.POOLINGS
CONTAINERS: tuple[str, ...] = ()
PREFIXES = flax_vit.PREFIXES
DROPPED = ("head/", "pre_logits/")
renamed = flax_vit.renamed
shown_by = flax_vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, gelu: str = "gelu_tanh", **shown: Any) -> nn.Module:
    """Return the untrained network; torch codes that took over such a file often have gelu = "gelu"."""
    return vit.build(heads=heads, eps=eps, act_layer=gelu, **shown)
