"""What of `mmcv.ops` mmsegmentation asks for while it is imported, for mmcv-lite, which leaves compiled operators out.

None of it stands in UPerNet. Any other name is a ModuleNotFoundError, which mmsegmentation takes for an operator that
is not there.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn import functional


def point_sample(maps: Tensor, points: Tensor, align_corners: bool = False, **how: Any) -> Tensor:
    """Return maps (images, dim, height, width) at points (images, points, 2) from 0 to 1, x before y:
    (images, dim, points)."""
    found = functional.grid_sample(maps, 2 * points[:, :, None] - 1, align_corners=align_corners, **how)
    return found.squeeze(3)


def sigmoid_focal_loss(*_: Any, **__: Any) -> Tensor:
    """Refuse: the focal loss is computed by compiled code."""
    raise NotImplementedError("the focal loss needs the full mmcv, with its compiled operators")


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise ModuleNotFoundError(f"mmcv-lite has no operator {name}")
