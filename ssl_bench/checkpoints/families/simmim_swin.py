"""SimMIM with a Swin transformer (Xie et al. 2022, https://arxiv.org/abs/2111.09886).

Names as in https://github.com/microsoft/SimMIM: a stage ends with its downsampling there and begins with it here. Files
are for 192 pixels, with windows of 6 (Swin-B) or 12 (Swin-L). No shape shows the image size: it is `size` in [arch].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from ssl_bench.checkpoints import swin

INPUT: Mapping[str, Any] = {"size": (192, 192), "resize": "short", "resize_to": 219}
POOLINGS = swin.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("mask_token", "decoder.", "head.")
renamed = swin.renamed
shown_by = swin.shown_by
features = swin.features


def build(*, size: int = 192, window: int = 6, **shown: Any) -> nn.Module:
    """Return the untrained network; the defaults are Swin-B."""
    return swin.build(size=size, window=window, **shown)
