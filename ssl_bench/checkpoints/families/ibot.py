"""iBOT's vision transformers (Zhou et al. 2022, https://arxiv.org/abs/2111.07832).

Names as in https://github.com/bytedance/ibot. `checkpoint_teacher.pth` holds the teacher's backbone under `state_dict`,
`checkpoint.pth` student and teacher with their heads. Patches are masked by a learned token, which is no part of the
features. Neighbours are searched with cls.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("teacher", "state_dict")
PREFIXES = ("module.", "backbone.")
DROPPED = ("head.", "masked_embed")
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, positions: vit.Positions = "scaled", **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return vit.build(heads=heads, eps=eps, positions=positions, **shown)
