"""LocalMIM with a Swin transformer (Wang et al. 2023, https://arxiv.org/abs/2303.05251).

Names as in https://github.com/huawei-noah/Efficient-Computing, folder Self-supervised/LocalMIM/Swin, and stages as in
SimMIM's, but for 224 pixels. The catches: every stage is decoded behind a norm of its own, `norm.0` to `norm.3`, of
which the last is the final norm; and norms have an epsilon of 1e-6 where other Swins have 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import swin, vit

INPUT = vit.INPUT
POOLINGS = swin.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("decoder.", "hog_enc.", "norm.0.", "norm.1.", "norm.2.")
shown_by = swin.shown_by
features = swin.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the norm behind the last stage as the final one, and stages as timm does."""
    last = {key.replace("norm.3.", "norm.") if key.startswith("norm.3.") else key: state[key] for key in state}
    return swin.renamed(last)


def build(*, size: int = 224, window: int = 7, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network; the defaults are Swin-B."""
    return swin.build(size=size, window=window, eps=eps, **shown)
