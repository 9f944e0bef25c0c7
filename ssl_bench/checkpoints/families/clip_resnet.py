"""OpenAI's CLIP (Radford et al. 2021, https://arxiv.org/abs/2103.00020): the ResNets of its image towers.

Names as in https://github.com/openai/CLIP. It is no usual ResNet: three convolutions at the beginning, average pooling
in the place of strides, and attention over the last map, whose heads of 64 dimensions no shape shows. The linear probes
of the paper use `proj`, the output of that attention; `gap` is the mean of the last map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from torch import Tensor, nn

from ssl_bench.checkpoints import clip_vit, keys, resnet, vit

INPUT = clip_vit.INPUT
POOLINGS = ("proj", "gap")
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "visual.")
DROPPED: tuple[str, ...] = ()  # the text tower does not bear the prefix
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage, the width of the first, the outputs and the image size of the positions."""
    positions = state["attnpool.positional_embedding"].shape[0] - 1  # the first is the mean's
    return {
        "depths": resnet.depths_of(state),
        "width": state["layer1.0.conv1.weight"].shape[0],
        "outputs": state["attnpool.c_proj.weight"].shape[0],
        "size": math.isqrt(positions) * 32,
    }


def build(
    depths: tuple[int, ...] = (3, 4, 6, 3), width: int = 64, outputs: int = 1024, size: int = 224, *, heads: int = 0
) -> nn.Module:
    """Return the untrained image tower; 0 heads stands for 64 dimensions each."""
    network: nn.Module = ModifiedResNet(list(depths), outputs, heads or width // 2, image_size=size, width=width)
    network.size = size  # type: ignore[assignment]  # of the positions, for the check
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return what attention makes of the last map, its mean, and the map, 1/32 of the image's height and width."""
    assert isinstance(network, ModifiedResNet)
    vit.check_size(images, (network.size, network.size))
    x = network.stem(images)
    dense = network.layer4(network.layer3(network.layer2(network.layer1(x))))
    return {"proj": network.attnpool(dense), "gap": dense.mean((2, 3)), "dense": dense}
