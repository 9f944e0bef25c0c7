"""Big Transfer's ResNets (Kolesnikov et al. 2020, https://arxiv.org/abs/1912.11370).

Names as in https://github.com/google-research/big_transfer: npz files, whose arrays are named by path and hold kernels
as (height, width, inputs, outputs). They have group norm, standardised weights and activations before convolutions: no
torchvision ResNet holds them. The catch: pixels are in -1..1. The feature is the mean after the last norm and ReLU.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any

from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from ssl_bench.checkpoints import resnet

INPUT = {**resnet.INPUT, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
POOLINGS = ("gap",)
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("resnet/",)
DROPPED = ("head/",)
UNIT = re.compile(r"^block(\d)/unit(\d+)/([abc])/(?:(proj)/)?(.*)$")


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as timm does, kernels as (outputs, inputs, height, width); timm's own names are left."""
    return {_name(key): tensor.permute(3, 2, 0, 1) if "kernel" in key else tensor for key, tensor in state.items()}


def _name(key: str) -> str:
    layer = {"kernel": "weight", "gamma": "weight", "beta": "bias"}.get(key.rpartition("/")[2], "")
    if key.startswith("root_block/"):
        return f"stem.conv.{layer}"
    if key.startswith("group_norm/"):
        return f"norm.{layer}"
    found = UNIT.match(key)
    if found is None:
        return key
    stage, unit, letter, projects, rest = found.groups()
    kind = "norm" if rest.startswith("group_norm") else "conv"
    part = "downsample.conv" if projects else f"{kind}{'abc'.index(letter) + 1}"
    return f"stages.{int(stage) - 1}.blocks.{int(unit) - 1}.{part}.{layer}"


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage, and how many times wider than usual all layers are."""
    blocks = [key.split(".") for key in state if key.endswith(".conv1.weight")]
    depths = [sum(parts[1] == stage for parts in blocks) for stage in "0123"]
    return {"depths": depths, "widen": state["stem.conv.weight"].shape[0] // 64}


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1) -> nn.Module:
    """Return the untrained network: 3, 4, 6, 3 blocks and widen 1 are R50x1."""
    network: nn.Module = ResNetV2(
        layers=depths,
        width_factor=widen,
        stem_type="fixed",
        conv_layer=functools.partial(StdConv2d, eps=1e-8),
        norm_layer=functools.partial(GroupNormAct, num_groups=32),
        num_classes=0,
    )
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map, 1/32 of the image's height and width, and its mean."""
    assert isinstance(network, ResNetV2)
    dense = network.forward_features(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}
