"""SimCLR v2 (Chen et al. 2020, https://arxiv.org/abs/2006.10029), converted to torch, without selective kernels.

Names as in https://github.com/Separius/SimCLRv2-Pytorch, which pads symmetrically where the TensorFlow original does
not: its authors find 70.97 % where the original has 71.7. The catch: pixels are in 0..1 and not normalised further.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from ssl_bench.checkpoints import resnet

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
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as torchvision does."""
    found = {}
    for key, tensor in state.items():
        name = key
        for theirs, ours in RENAMES:
            name = re.sub(theirs, ours, name)
        found[name] = tensor
    return found
