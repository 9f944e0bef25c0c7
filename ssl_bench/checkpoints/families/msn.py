"""Masked siamese networks (Assran et al. 2022, https://arxiv.org/abs/2204.07141).

Names as in https://github.com/facebookresearch/msn. The file holds encoder and target encoder; the authors evaluate
the target encoder, on images resized bilinearly.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = {**vit.INPUT, "interpolation": "bilinear"}
POOLINGS = vit.POOLINGS
CONTAINERS = ("target_encoder",)
PREFIXES = ("module.",)
DROPPED = ("fc.", "pred.")
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, positions: vit.Positions = "resized", **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return vit.build(heads=heads, eps=eps, positions=positions, **shown)
