"""The ResNet of torchvision, which most convolutional families share, in any depth and width of all its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "resize_to": 256,
    "interpolation": "bilinear",
}
POOLINGS = ("gap",)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage, how many times wider than usual all layers are, and what else is unusual."""
    widen = state["conv1.weight"].shape[0] // 64
    return {"depths": depths_of(state), "widen": widen, **_unusual(state, widen)}


def depths_of(state: Mapping[str, Tensor]) -> list[int]:
    """Return the number of blocks of each stage."""
    stages = (
        {key.split(".")[1] for key in state if key.startswith(f"layer{stage}.") and key.endswith("conv1.weight")}
        for stage in (1, 2, 3, 4)
    )
    return [len(blocks) for blocks in stages]


def _unusual(state: Mapping[str, Tensor], widen: int) -> dict[str, Any]:
    """Return what a ResNet-50 has not: basic blocks, a stem for small images, groups, wider groups."""
    middle = state["layer1.0.conv2.weight"]  # (outputs, inputs of a group, 3, 3)
    groups = middle.shape[0] // middle.shape[1]
    found = {
        "basic": "layer1.0.conv3.weight" not in state,
        "small_stem": state["conv1.weight"].shape[-1] == 3,
        "groups": groups,
        "group_width": middle.shape[1] // (widen if groups == 1 else 1),
    }
    usual = {"basic": False, "small_stem": False, "groups": 1, "group_width": 64}
    return {name: value for name, value in found.items() if value != usual[name]}


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, **unusual: Any) -> ResNet:
    """Return the untrained network without classifier: 3, 4, 6, 3 blocks are ResNet-50; unusual: see `ResNet`."""
    return ResNet(depths, widen, **unusual)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map, 1/32 of the image's height and width (1/8 behind a small stem), and its mean."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class ResNet(TorchvisionResNet):  # type: ignore[misc]  # torchvision has no types
    """Images (n, 3, height, width) to the last map (n, 2048 widen, height / 32, width / 32).

    Unlike torchvision's `wide_resnet50_2`, which is `group_width` 128 here, every layer is `widen` times as wide.
    `basic` blocks are those of ResNet-18 and 34, with 512 channels at the end. A small stem is one 3x3 convolution
    of stride 1 and no pooling, for images of about 32 pixels. No shape shows `strides` and `stem_padding`.
    """

    maxpool: nn.Module

    def __init__(
        self,
        depths: tuple[int, ...],
        widen: int,
        *,
        basic: bool = False,
        small_stem: bool = False,
        stem_padding: int | None = None,
        groups: int = 1,
        group_width: int = 64,
        strides: tuple[int, ...] = (1, 2, 2, 2),
        channels: int = 3,
    ) -> None:
        super().__init__(Bottleneck, [1, 1, 1, 1], groups=groups, width_per_group=group_width)
        self.inplanes = 64 * widen
        kernel, stride = (3, 1) if small_stem else (7, 2)
        padding = kernel // 2 if stem_padding is None else stem_padding
        self.conv1 = nn.Conv2d(channels, self.inplanes, kernel, stride=stride, padding=padding, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        if small_stem:
            self.maxpool = nn.Identity()
        for stage, blocks in enumerate(depths):
            block = BasicBlock if basic else Bottleneck
            layer = self._make_layer(block, 64 * widen * 2**stage, blocks, stride=strides[stage])
            setattr(self, f"layer{stage + 1}", layer)
        self.avgpool = self.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        dense: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return dense
