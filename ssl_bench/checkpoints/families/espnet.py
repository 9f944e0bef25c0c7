"""ESPNet-C (Mehta et al. 2018, https://arxiv.org/abs/1803.06815), the encoder of ESPNet, trained on Cityscapes.

Names as in https://github.com/sacmehta/ESPNet. The catches: channels are blue, green, red; pixels of 0..255 are
normalised and then divided by 255 once more, so that the network sees values of about 0.01; batch norms have an epsilon
of 0.001. The feature is the map before the classifier, which a card's `classes` does not matter for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys, vit

INPUT: Mapping[str, Any] = {
    "size": (512, 1024),
    "resize": "squash",
    "interpolation": "bilinear",
    "channels": "bgr",
    "mean": (72.3923111 / 255, 82.90893555 / 255, 73.15840149 / 255),
    "std": (45.3192215, 46.15289307, 44.91483307),  # of 0..255, though pixels are in 0..1: the further division by 255
}
POOLINGS = ("gap",)
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "encoder.")
DROPPED = ("classifier.",)
EPSILON = 1e-3
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the repeated blocks of the second and third level, p and q in the paper."""
    return {"depths": [vit.depth_of(state, "level2."), vit.depth_of(state, "level3.")]}


def build(depths: tuple[int, ...] = (2, 8)) -> nn.Module:
    """Return the untrained encoder without classifier."""
    return ESPNetC(depths)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map (256 channels, 1/8 of the image's height and width) and its mean."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class ESPNetC(nn.Module):
    """Images (n, 3, height, width) to the last map (n, 256, height / 8, width / 8); each level sees the image again."""

    def __init__(self, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.level1 = Convolution(3, 16)
        self.b1 = Activation(16 + 3)
        self.level2_0 = Pyramid(16 + 3, 64, stride=2)
        self.level2 = nn.Sequential(*(Pyramid(64, 64) for _ in range(depths[0])))
        self.b2 = Activation(2 * 64 + 3)
        self.level3_0 = Pyramid(2 * 64 + 3, 128, stride=2)
        self.level3 = nn.Sequential(*(Pyramid(128, 128) for _ in range(depths[1])))
        self.b3 = Activation(2 * 128)

    def forward(self, images: Tensor) -> Tensor:
        half = functional.avg_pool2d(images, 3, stride=2, padding=1)
        quarter = functional.avg_pool2d(half, 3, stride=2, padding=1)
        second = self.level2_0(self.b1(torch.cat([self.level1(images), half], 1)))
        third = self.level3_0(self.b2(torch.cat([self.level2(second), second, quarter], 1)))
        dense: Tensor = self.b3(torch.cat([third, self.level3(third)], 1))
        return dense


class Activation(nn.Module):
    """Batch norm and a ReLU whose negative slope is learned for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.bn, self.act = nn.BatchNorm2d(width, eps=EPSILON), nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.act(self.bn(x))
        return y


class Convolution(Activation):
    """A 3x3 convolution of stride 2 before the activation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(outputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self.conv(x))


class Bare(nn.Module):
    """A square convolution that keeps the size but for its stride."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        padding = kernel // 2 * dilation
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation=dilation, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


class Pyramid(nn.Module):
    """Five dilations of one reduced map, four of them summed up step by step, side by side (the ESP block).

    A strided one reduces by 3x3, keeps no shortcut, and holds its norm itself; the others keep both in `bn`.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        part = outputs // 5
        self.c1 = Bare(inputs, part, 3 if stride == 2 else 1, stride)
        self.d1 = Bare(part, outputs - 4 * part)
        self.d2, self.d4, self.d8, self.d16 = (Bare(part, part, dilation=2**power) for power in (1, 2, 3, 4))
        self.strided = stride == 2
        self.bn = nn.BatchNorm2d(outputs, eps=EPSILON) if self.strided else Activation(outputs)
        self.act = nn.PReLU(outputs) if self.strided else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        reduced = self.c1(x)
        sums = [self.d2(reduced)]
        for dilated in (self.d4, self.d8, self.d16):
            sums.append(sums[-1] + dilated(reduced))
        joined = torch.cat([self.d1(reduced), *sums], 1)
        y: Tensor = self.act(self.bn(joined if self.strided else x + joined))
        return y
