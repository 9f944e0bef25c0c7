"""Contrastive random walks (Jabri et al. 2020, https://arxiv.org/abs/2006.14613).

Names as in https://github.com/ajabri/videowalk: `encoder` is torchvision's ResNet-18. The catches, unseen in shapes:
its last two stages have stride 1, so that the map is 1/8 of the image; and convolutions pad with the reflected image,
not with zeros. The authors propagate labels by the third stage and leave the fourth out; so do feature and map here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("model.fc.", "fc.")


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the network out of its wrapper."""
    return keys.strip_prefix(state, ("model.",))


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage and what is unusual."""
    return resnet.shown_by(state)


def build(
    depths: tuple[int, ...] = (2, 2, 2, 2), widen: int = 1, padding: str = "reflect", **unusual: Any
) -> nn.Module:
    """Return the untrained network, without strides in the last two stages."""
    network = resnet.build(depths, widen, **{"basic": True, "strides": (1, 2, 1, 1), **unusual})
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.kernel_size[0] > 1:
            layer.padding_mode = padding  # type: ignore[assignment]  # torch's own words for it
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the map of the third stage, 1/8 of the image's height and width, and its mean."""
    assert isinstance(network, resnet.ResNet)
    stem = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    dense = network.layer3(network.layer2(network.layer1(stem)))
    return {"gap": dense.mean((2, 3)), "dense": dense}
