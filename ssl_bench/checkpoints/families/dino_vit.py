"""DINO's vision transformers (Caron et al. 2021, https://arxiv.org/abs/2104.14294).

Names as in https://github.com/facebookresearch/dino. The files of the backbone alone are bare; full ones hold student
and teacher, and the authors evaluate the teacher. Neighbours are searched with cls. Whoever trained with this code or
from these weights kept its names: SiT, MOKD (under `teacher_vit`, beside a ResNet), CrIBo, UDI, TimeT, PathDino.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("teacher", "teacher_vit")
PREFIXES = ("module.", "feature_extractor.", "backbone.", "backbone.")  # the second "backbone." is UDI's
DROPPED = ("head", "transhead.", "mask_token")
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, positions: vit.Positions = "scaled", **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return vit.build(heads=heads, eps=eps, positions=positions, **shown)
