"""A copy of a backbone can be trained, whatever adapter made it; the backbone itself cannot."""

from __future__ import annotations

import copy

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext

MODELS = [
    "timm:vit_tiny_patch16_224,size=32,depth=2",
    "timm:resnet10t,size=32",
    "ckpt:none.pth,family=cifar_resnet,depth=8",
    "ckpt:none.pth,family=mae,width=64,depth=2,heads=2,size=32",
    "torchvision:resnet18,size=32",
    "random:cifar_resnet20",
]


def untrained(text: str) -> Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(untrained=not text.startswith("random")))


@pytest.mark.parametrize("text", MODELS)
def test_a_copy_has_gradients_of_its_own(text: str) -> None:
    """Features of the copy have gradients once its network is to be trained; those of the backbone stay as they were,
    to the last bit."""
    backbone = untrained(text)
    images = torch.randn(2, 3, *backbone.input.size)
    twin = copy.deepcopy(backbone)
    assert twin.network is not None
    assert twin.network is not backbone.network
    before = backbone.forward(images, backbone.default_pooling).pooled
    torch.testing.assert_close(twin.forward(images, twin.default_pooling).pooled, before, rtol=0, atol=0)
    assert not twin.forward(images, twin.default_pooling).pooled.requires_grad
    twin.network.requires_grad_(True)
    twin.forward(images, twin.default_pooling).pooled.sum().backward()
    assert any(parameter.grad is not None for parameter in twin.network.parameters())
    torch.optim.SGD(twin.network.parameters(), lr=1e-3).step()
    after = backbone.forward(images, backbone.default_pooling).pooled
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert not after.requires_grad
    assert (twin.forward(images, twin.default_pooling).pooled - before).abs().max() > 0


def test_no_gradients_where_none_are_wanted() -> None:
    """Under `torch.no_grad` a network that is trained is run as a frozen one."""
    twin = copy.deepcopy(untrained(MODELS[2]))
    assert twin.network is not None
    twin.network.requires_grad_(True)
    with torch.no_grad():
        assert twin.forward(torch.randn(1, 3, 32, 32), "gap").pooled.is_inference()
