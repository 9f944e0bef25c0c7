"""The ResNet-50s of the VISSL zoo that learned to colour (Zhang et al. 2016; Goyal et al. 2019).

Trunks of https://github.com/facebookresearch/vissl, as the family vissl. The catches: they take one channel, the
lightness of L*a*b* less 50, and neither red, green, blue nor their means; and their last stage has stride 1, which no
shape shows, so that the map is 1/16 of the image. VISSL converts with OpenCV, which rounds lightness to 256 steps of
0.39; here nothing is rounded.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys, resnet

INPUT = {**resnet.INPUT, "channels": "lab", "mean": (50.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
POOLINGS = resnet.POOLINGS
CONTAINERS = ("classy_state_dict.base_model.model.trunk", "model_state_dict")
PREFIXES = ("module.", "_feature_blocks.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, **unusual: Any) -> resnet.ResNet:
    """Return the untrained network."""
    return resnet.build(depths, widen, **{"channels": 1, "strides": (1, 2, 2, 1), **unusual})


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map of the images' first channel, 1/16 of the image's height and width, and its mean."""
    return resnet.features(network, images[:, :1])
