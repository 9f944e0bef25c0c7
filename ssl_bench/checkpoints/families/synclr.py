"""SynCLR (Tian et al. 2023, https://arxiv.org/abs/2312.17742) and StableRep (Tian et al. 2023, 2306.00984).

Names as in https://github.com/google-research/syn-rep-learn: the image tower stands under `visual.`, beside a text
tower or projectors. The feature of their linear probes is cls after the final norm.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model", "state_dict")
PREFIXES = ("module.", "visual.")
DROPPED = ("head", "mask_token")
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained image tower."""
    return vit.build(heads=heads, eps=eps, **shown)
