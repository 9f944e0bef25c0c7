"""The ResNets of the CIFAR-10 experiments (He et al. 2016, section 4.2): 6n + 2 layers, three stages, 0.27 M weights.

Names and shortcuts as in https://github.com/akamaster/pytorch_resnet_cifar10: shortcuts of option A, which have no
weights, so that nothing in the file tells them from other shortcuts without any. Files with shortcuts that project
(option B) show them: https://github.com/mpatacchiola/self-supervised-relational-reasoning, which keeps a `backbone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys

INPUT: Mapping[str, Any] = {"size": (32, 32), "resize": "squash"}
POOLINGS = ("gap",)
CONTAINERS = ("state_dict", "backbone")
PREFIXES = ("module.",)
DROPPED = ("linear.",)
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the depth: 6n + 2 for n blocks in each stage; and that shortcuts project, where they do."""
    blocks = {key.split(".")[1] for key in state if key.startswith("layer1.")}
    projected = {"projected": True} if "layer2.0.downsample.0.weight" in state else {}
    return {"depth": 6 * len(blocks) + 2, **projected}


def build(depth: int = 20, **unusual: bool) -> nn.Module:
    """Return the untrained network of 8, 20, 32, 44, 56 or 110 layers; `projected` shortcuts are unusual."""
    return CifarResNet(depth, **unusual)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the 64-dimensional mean over the last map (8x8 for images of 32 pixels)."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class CifarResNet(nn.Module):
    """Images (n, 3, height, width) to the last map (n, 64, height / 4, width / 4)."""

    def __init__(self, depth: int, *, projected: bool = False) -> None:
        super().__init__()
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f"a CIFAR ResNet has 6n + 2 layers, not {depth}")
        blocks = (depth - 2) // 6
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _stage(16, 16, blocks, stride=1, projected=False)
        self.layer2 = _stage(16, 32, blocks, stride=2, projected=projected)
        self.layer3 = _stage(32, 64, blocks, stride=2, projected=projected)

    def forward(self, images: Tensor) -> Tensor:
        stem = functional.relu(self.bn1(self.conv1(images)))
        dense: Tensor = self.layer3(self.layer2(self.layer1(stem)))
        return dense


def _stage(inputs: int, outputs: int, blocks: int, stride: int, *, projected: bool) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride, projected=projected)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut that skips pixels and pads channels with zeros (option A), or projects."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, projected: bool = False) -> None:
        super().__init__()
        self.stride, self.padding = stride, (outputs - inputs) // 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if projected:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            return torch.relu(y + self.downsample(x))
        shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.padding, self.padding))
        return torch.relu(y + shortcut)
