"""Losses of distances and directions of pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SHIFT = 1e-3
"""Added to distances before the logarithm."""
EDGE = 1e-4
"""How near the cosine of an angle may come to 1 or -1, where the angle's slope is infinite."""


def scale_invariant(said: Tensor, true: Tensor, *, spread: bool = True) -> Tensor:
    """Return √(var g + 0.15 (mean g)²) with g = ln(s + 0.001) - ln(t + 0.001), over the pixels with t > 0.

    `spread` False leaves out the variance, as in the first steps. Where nothing is known the loss is 0. It is SigLoss
    of dinov3/eval/depth/loss.py (https://github.com/facebookresearch/dinov3), after AdaBins (Bhat et al., CVPR 2021).
    """
    known = true > 0
    off = torch.log(said[known] + SHIFT) - torch.log(true[known] + SHIFT)
    if not len(off):
        return said.sum() * 0
    loss = 0.15 * off.mean() ** 2
    if spread and len(off) > 1:
        loss = loss + off.var()
    return loss.sqrt() if loss > 0 else loss.abs()


def angular(said: Tensor, true: Tensor) -> Tensor:
    """Return the mean angle, in radians, between directions (images, 3, height, width) where `true` is not 0.

    Where nothing is known the loss is 0. It is angular_loss of evals/utils/losses.py
    (https://github.com/mbanani/probe3d) without its uncertainty.
    """
    known = true.abs().sum(dim=1) > 0
    cosines = functional.cosine_similarity(said, true, dim=1)[known]
    if not len(cosines):
        return said.sum() * 0
    return cosines.clamp(EDGE - 1, 1 - EDGE).acos().mean()
