"""SimCLR v2 (Chen et al. 2020, https://arxiv.org/abs/2006.10029), converted to torch, also with selective kernels.

Names as in https://github.com/Separius/SimCLRv2-Pytorch (`python convert.py r50_1x_sk0/model.ckpt-250228`). Catches:
pixels are in 0..1 and not normalised further; and the original pools its first map behind the image rather than around
it, and averages shortcuts without their padding, where the converter's network does otherwise, and finds 70.97 % where
the original has 71.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys, resnet
from ssl_bench.checkpoints.same_padding import SameMaxPool2d
from ssl_bench.checkpoints.selective_kernels import SelectiveResNet

INPUT = {**resnet.INPUT, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
POOLINGS = resnet.POOLINGS
CONTAINERS = ("resnet",)
PREFIXES = ("module.",)
DROPPED = ("fc.",)
RENAMES = (
    (r"^net\.0\.0\.", "conv1."),
    (r"^net\.0\.1\.0\.", "bn1."),
    (r"^net\.(\d)\.blocks\.(\d+)\.", r"layer\1.\2."),
    (r"\.projection\.shortcut\.", ".downsample.0."),
    (r"\.projection\.bn\.0\.", ".downsample.1."),
    (r"\.net\.0\.", ".conv1."),
    (r"\.net\.1\.0\.", ".bn1."),
    (r"\.net\.2\.", ".conv2."),
    (r"\.net\.3\.0\.", ".bn2."),
    (r"\.net\.4\.", ".conv3."),
    (r"\.net\.5\.0\.", ".bn3."),
)
features = resnet.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as torchvision does; with selective kernels, which it has not, leave the names."""
    return dict(state) if _selective(state) else keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage, how much wider than usual all layers are, and whether kernels are selective."""
    if not _selective(state):
        return resnet.shown_by(state)
    ends = [key.split(".") for key in state if key.endswith("main_conv.0.weight")]
    depths = [sum(stage == end[1] for end in ends) for stage in "1234"]
    return {"depths": depths, "widen": state["net.0.0.weight"].shape[0] // 32, "selective": True}


def _selective(state: Mapping[str, Tensor]) -> bool:
    return any(".mixing_conv." in key for key in state)


def build(
    depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, *, selective: bool = False, **unusual: Any
) -> nn.Module:
    """Return the untrained network."""
    if selective:
        return SelectiveResNet(depths, widen)
    network = resnet.build(depths, widen, **unusual)
    network.maxpool = SameMaxPool2d(3, stride=2)
    return network
