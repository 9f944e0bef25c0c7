"""ResNets and ConvNeXts that were trained on images alone."""

from __future__ import annotations

import importlib

from benchmarks.family_parity.common import Case, Cases, grid, noise, under


def vicregl() -> Case:
    network = noise(importlib.import_module("convnext").ConvNeXt(depths=[3, 3, 27, 3], dims=[96, 192, 384, 768]))
    say = lambda net, x: {"gap": net(x)[1], "dense": grid(net(x)[0])}  # noqa: E731
    return network, network.state_dict(), say, 224


def _vicreg(name: str) -> Case:
    network = noise(getattr(importlib.import_module("resnet"), name)()[0])
    return network, network.state_dict(), lambda net, x: {"gap": net(x)}, 96


def swav() -> Case:
    network = noise(importlib.import_module("src.resnet50").resnet50(output_dim=128, hidden_mlp=2048, nmb_prototypes=9))
    return network, under("module.", network.state_dict()), lambda net, x: {"gap": net.forward_backbone(x)}, 224


CASES: Cases = [
    ("vicreg", "vicreg", "ResNet-50, 96 px", lambda: _vicreg("resnet50")),
    ("vicreg", "vicreg", "ResNet-50 2x, 96 px", lambda: _vicreg("resnet50x2")),
    ("vicregl_convnext", "VICRegL", "ConvNeXt-S, 224 px", vicregl),
    ("swav", "swav", "ResNet-50, 224 px", swav),
]
