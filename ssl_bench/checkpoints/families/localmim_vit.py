"""LocalMIM with a vision transformer (Wang et al. 2023, https://arxiv.org/abs/2303.05251).

Names as in https://github.com/huawei-noah/Efficient-Computing, folder Self-supervised/LocalMIM/ViT. The catch: four
blocks are decoded, each behind a norm of its own, `norm.0` to `norm.3`; the last is the final norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("decoder.", "hog_enc.", "norm.0.", "norm.1.", "norm.2.")
shown_by = vit.shown_by
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the norm behind the last block as the final one."""
    return {key.replace("norm.3.", "norm.") if key.startswith("norm.3.") else key: state[key] for key in state}


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained encoder."""
    return vit.build(heads=heads, eps=eps, **shown)
