"""VICRegL's ConvNeXts (Bardes et al. 2022, https://arxiv.org/abs/2210.01571); its ResNets are the family vicreg.

Names as in https://github.com/facebookresearch/VICRegL. The catches: there is no layer scale, and the final norm is
applied at every place of the map before the mean, where ConvNeXt itself norms the mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from ssl_bench.checkpoints import resnet, vit

INPUT = resnet.INPUT
POOLINGS = ("gap",)
CONTAINERS = ("model",)
PREFIXES = ("module.", "backbone.")
DROPPED: tuple[str, ...] = ()
RENAMES = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv", ".mlp.fc"),
    (r"^norm\.", "head.norm."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name stages and layers as timm does."""
    found = {}
    for key, tensor in state.items():
        name = key
        for theirs, ours in RENAMES:
            name = re.sub(theirs, ours, name)
        found[name] = tensor
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return blocks and width of each stage."""
    stages = range(vit.depth_of(state, "stages."))
    return {
        "depths": [vit.depth_of(state, f"stages.{stage}.blocks.") for stage in stages],
        "widths": [state[f"stages.{stage}.blocks.0.conv_dw.weight"].shape[0] for stage in stages],
    }


def build(depths: tuple[int, ...] = (3, 3, 27, 3), widths: tuple[int, ...] = (96, 192, 384, 768)) -> nn.Module:
    """Return the untrained network; the defaults are ConvNeXt-S."""
    network: nn.Module = ConvNeXt(depths=depths, dims=widths, ls_init_value=None, num_classes=0)
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map after the final norm, 1/32 of the image's height and width, and its mean."""
    assert isinstance(network, ConvNeXt)
    dense = network.head.norm(network.forward_features(images))
    return {"gap": dense.mean((2, 3)), "dense": dense}
