"""SimCLR's own ResNets (Chen et al. 2020, https://arxiv.org/abs/2002.05709), converted to torch.

Names as https://github.com/tonylins/simclr-converter writes them (`python convert.py model.ckpt-225206 OUT`), which are
torchvision's. The catches: pixels are in 0..1 and not normalised further; and the original pools its first map behind
the image rather than around it, where the converter's network pools around it and finds 68.9, 74.1 and 76.4 % instead
of 69.1, 74.2 and 76.6. Its convolutions pad around the image. SimCLR as trained by others is an ordinary ResNet.
"""

from __future__ import annotations

from typing import Any

from ssl_bench.checkpoints import keys, resnet
from ssl_bench.checkpoints.same_padding import SameMaxPool2d

INPUT = {**resnet.INPUT, "interpolation": "bicubic", "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.",)
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
features = resnet.features


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, **unusual: Any) -> resnet.ResNet:
    """Return the untrained network, 1x, 2x or 4x as wide."""
    network = resnet.build(depths, widen, **unusual)
    network.maxpool = SameMaxPool2d(3, stride=2)
    return network
