"""Latent masked image modeling (Wei et al. 2024, https://arxiv.org/abs/2407.15837).

Names as in https://github.com/yibingwei-1/LatentMIM. The catch: patches are embedded by a linear layer, whose inputs
are ordered by row, column and colour where a convolution's are ordered by colour, row and column; either order loads.
The file also holds a target encoder of the same names, and a projector behind the final norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("state_dict", "model")
PREFIXES = ("module.", "encoder.")
DROPPED = ("head.", "mask_token", "mask_proj.")
shown_by = vit.shown_by
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Order the weights of the patch embedding as a convolution's, and give positions their axis of images."""
    names = {"embed.proj.bias": "patch_embed.proj.bias"}
    found = {names.get(key, key): tensor for key, tensor in state.items()}
    if "embed.proj.weight" in found:
        linear = found.pop("embed.proj.weight")  # (width, row * column * colour)
        patch = math.isqrt(linear.shape[1] // 3)
        found["patch_embed.proj.weight"] = linear.reshape(-1, patch, patch, 3).permute(0, 3, 1, 2)
        found["pos_embed"] = found.pop("pos_embed.pos_embeds")[None]
    return found


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return vit.build(heads=heads, eps=eps, **shown)
