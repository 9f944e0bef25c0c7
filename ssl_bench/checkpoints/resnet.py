"""The ResNet of torchvision, which most convolutional families share, in any depth and width of all its layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "resize_to": 256,
    "interpolation": "bilinear",
}
POOLINGS = ("gap",)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage, and how many times wider than usual all layers are."""
    stages = (
        {key.split(".")[1] for key in state if key.startswith(f"layer{stage}.") and key.endswith("conv1.weight")}
        for stage in (1, 2, 3, 4)
    )
    return {"depths": [len(blocks) for blocks in stages], "widen": state["conv1.weight"].shape[0] // 64}


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1) -> ResNet:
    """Return the untrained network without classifier: 3, 4, 6, 3 blocks are ResNet-50."""
    return ResNet(depths, widen)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map, 1/32 of the image's height and width, and its mean."""
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "dense": dense}


class ResNet(TorchvisionResNet):  # type: ignore[misc]  # torchvision has no types
    """Images (n, 3, height, width) to the last map (n, 2048 widen, height / 32, width / 32).

    Unlike torchvision's `wide_resnet50_2`, which widens the middle of each block, every layer is `widen` times as wide.
    """

    def __init__(self, depths: tuple[int, ...], widen: int) -> None:
        super().__init__(Bottleneck, [1, 1, 1, 1])
        self.inplanes = 64 * widen
        self.conv1 = nn.Conv2d(3, self.inplanes, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(self.inplanes)
        for stage, blocks in enumerate(depths):
            layer = self._make_layer(Bottleneck, 64 * widen * 2**stage, blocks, stride=1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", layer)
        self.avgpool = self.fc = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        dense: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return dense
