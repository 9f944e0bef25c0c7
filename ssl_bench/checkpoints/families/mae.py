"""Masked autoencoders (He et al. 2022, https://arxiv.org/abs/2111.06377): the ViT encoders.

Names as in https://github.com/facebookresearch/mae. Its linear probe takes cls after the final norm; its fine-tuning
takes the mean over patches with a new norm behind it, which no released file of the encoder holds.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("decoder_", "mask_token", "head.")
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return vit.build(heads=heads, eps=eps, **shown)
