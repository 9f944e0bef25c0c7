"""ShuffleNetV2 trunks under the names of https://github.com/megvii-model/ShuffleNet-Series, without conv5 and fc.

https://github.com/dog-qiuqiu/FastestDet, whose files these are, reads images with OpenCV: channels are blue, green,
red, and pixels are divided by 255 and not normalised further. The trunk was trained on ImageNet, hence 224 pixels here;
the detector that was trained on top of it is fed squashed squares of 352.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import keys

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "resize_to": 256,
    "interpolation": "bilinear",
    "channels": "bgr",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}
POOLINGS = ("gap",)
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "backbone.")
DROPPED = ("conv_last.", "classifier.")
REPEATS = (4, 8, 4)
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the width of the first stage: 48 (0.5x), 116 (1x), 176 (1.5x) or 244 (2x)."""
    return {"width": 2 * state["stage2.0.branch_main.5.weight"].shape[1]}


def build(width: int = 48) -> nn.Module:
    """Return the untrained trunk whose stages are `width`, 2 `width` and 4 `width` wide."""
    return ShuffleNetV2(width)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean over the last map (192 for 0.5x; 1/32 of the image's height and width)."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class ShuffleNetV2(nn.Module):
    """Images (n, 3, height, width) to the last map (n, 4 width, height / 32, width / 32)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first_conv = nn.Sequential(nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(24, width, REPEATS[0])
        self.stage3 = _stage(width, 2 * width, REPEATS[1])
        self.stage4 = _stage(2 * width, 4 * width, REPEATS[2])

    def forward(self, images: Tensor) -> Tensor:
        stem = self.maxpool(self.first_conv(images))
        dense: Tensor = self.stage4(self.stage3(self.stage2(stem)))
        return dense


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    rest = (ShuffleBlock(outputs // 2, outputs, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(ShuffleBlock(inputs, outputs, stride=2), *rest)


class ShuffleBlock(nn.Module):
    """Half of the channels passes by (stride 1) or is projected (stride 2) beside the main branch."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        middle = outputs // 2
        self.branch_main = nn.Sequential(
            *_pointwise(inputs, middle), *_depthwise(middle, stride), *_pointwise(middle, outputs - inputs)
        )
        self.branch_proj = (
            nn.Sequential(*_depthwise(inputs, stride), *_pointwise(inputs, inputs)) if stride == 2 else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.branch_proj is not None:
            return torch.cat((self.branch_proj(x), self.branch_main(x)), 1)
        passed, worked = x[:, 0::2], x[:, 1::2]
        return torch.cat((passed, self.branch_main(worked)), 1)


def _pointwise(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]
