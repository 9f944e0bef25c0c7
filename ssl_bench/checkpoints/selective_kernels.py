"""The ResNet with selective kernels of SimCLR v2: two streams of 3x3 convolutions, mixed by what the image shows.

Beside the streams (https://arxiv.org/abs/1903.06586) it differs from ResNet-50 in its stem of three convolutions and in
shortcuts that average before they project (https://arxiv.org/abs/1812.01187). Names are those of
https://github.com/Separius/SimCLRv2-Pytorch, padding is that of https://github.com/google-research/simclr.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints.same_padding import SameMaxPool2d


class SelectiveResNet(nn.Module):
    """Images (n, 3, height, width) to the last map (n, 2048 widen, height / 32, width / 32)."""

    def __init__(self, depths: tuple[int, ...], widen: int) -> None:
        super().__init__()
        width = 64 * widen
        stem = nn.Sequential(
            *_convolution(3, width // 2, stride=2),
            *_convolution(width // 2, width // 2),
            *_convolution(width // 2, width),
            SameMaxPool2d(3, stride=2),
        )
        stages: list[nn.Module] = []
        inputs = width
        for stage, blocks in enumerate(depths):
            middle = width * 2**stage
            stages.append(Stage(inputs, middle, blocks, stride=1 if stage == 0 else 2))
            inputs = 4 * middle
        self.net = nn.Sequential(stem, *stages)

    def forward(self, images: Tensor) -> Tensor:
        dense: Tensor = self.net(images)
        return dense


class Stage(nn.Module):
    """Blocks of one width, the first of which projects its shortcut."""

    def __init__(self, inputs: int, middle: int, blocks: int, stride: int) -> None:
        super().__init__()
        rest = (Block(4 * middle, middle, 1, projected=False) for _ in range(blocks - 1))
        self.blocks = nn.Sequential(Block(inputs, middle, stride, projected=True), *rest)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.blocks(x)
        return y


class Block(nn.Module):
    """A bottleneck around selective kernels, beside its shortcut."""

    def __init__(self, inputs: int, middle: int, stride: int, *, projected: bool) -> None:
        super().__init__()
        self.projection = Projection(inputs, 4 * middle, stride) if projected else nn.Identity()
        last = [nn.Conv2d(middle, 4 * middle, 1, bias=False), nn.Sequential(nn.BatchNorm2d(4 * middle))]
        self.net = nn.Sequential(*_convolution(inputs, middle, kernel=1), SelectiveKernel(middle, stride), *last)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.projection(x) + self.net(x))


class Projection(nn.Module):
    """The mean of every window of 2x2, projected; behind the image there is nothing to be averaged for stride 1."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.shortcut = nn.Sequential(nn.Identity(), nn.Identity(), nn.Conv2d(inputs, outputs, 1, bias=False))
        self.bn = nn.Sequential(nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        # TensorFlow's SAME leaves padding out of a mean, which is the mean over repeated edges; strided maps are padded
        # with zeros before, which only maps of odd sides show.
        padded = functional.pad(x, (0, 1, 0, 1), mode="replicate" if self.stride == 1 else "constant")
        y: Tensor = self.bn(self.shortcut(functional.avg_pool2d(padded, 2, self.stride)))
        return y


class SelectiveKernel(nn.Module):
    """Two streams of 3x3 convolutions, whose shares of each channel follow from the mean of their sum."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        hidden = max(width // 16, 32)
        self.main_conv = nn.Sequential(*_convolution(width, 2 * width, stride=stride))
        self.mixing_conv = nn.Sequential(
            *_convolution(width, hidden, kernel=1), nn.Conv2d(hidden, 2 * width, 1, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        streams = torch.stack(self.main_conv(x).chunk(2, dim=1))  # (2, images, width, height, width)
        shares = self.mixing_conv(streams.sum(0).mean((2, 3), keepdim=True)).chunk(2, dim=1)
        return (streams * torch.stack(shares).softmax(0)).sum(0)


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.Sequential(nn.BatchNorm2d(outputs), nn.ReLU())]
