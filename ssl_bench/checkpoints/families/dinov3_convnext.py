"""DINOv3's ConvNeXts (Siméoni et al. 2025, https://arxiv.org/abs/2508.10104).

Names as in https://github.com/facebookresearch/dinov3. The catch: the final norm is applied to the mean of the map,
which stands for cls, and to every place of the map; the mean of the normed map is another feature, here `patch_mean`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from ssl_bench.checkpoints import convnext

INPUT: Mapping[str, Any] = {"size": (256, 256), "resize": "short", "resize_to": 256}
POOLINGS = ("gap", "patch_mean", "gap+patch_mean")
CONTAINERS = ("teacher",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("norms.", "dino_head.", "ibot_head.")  # norms.3 is the final norm once more
renamed = convnext.renamed
shown_by = convnext.shown_by


def build(depths: tuple[int, ...] = (3, 3, 9, 3), widths: tuple[int, ...] = (96, 192, 384, 768)) -> nn.Module:
    """Return the untrained network; the defaults are ConvNeXt-T."""
    return convnext.build(depths, widths, scaled=True)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the normed mean of the last map, the mean of the normed map, both, and the normed map."""
    assert isinstance(network, ConvNeXt)
    last = network.forward_features(images)
    mean = network.head.norm(last.mean((2, 3), keepdim=True)).flatten(1)
    dense = network.head.norm(last)
    patch_mean = dense.mean((2, 3))
    return {
        "gap": mean,
        "patch_mean": patch_mean,
        "gap+patch_mean": torch.cat([mean, patch_mean], dim=1),
        "dense": dense,
    }
