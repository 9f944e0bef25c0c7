"""Layers handed out: maps on request, and parameters from stem to head."""

from __future__ import annotations

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import UsageError

COUNTS = {
    "timm:vit_tiny_patch16_224,size=64": 12,
    "timm:vit_small_patch14_reg4_dinov2,size=56,depth=3": 3,
    "timm:beit_base_patch16_224,depth=2,size=64": 2,
    "timm:swin_tiny_patch4_window7_224": 12,
    "timm:convnext_atto": 12,
    "timm:resnet18": 8,
    "torchvision:resnet18": 8,
    "ckpt:none.pth,family=clip,depth=2": 2,
    "ckpt:none.pth,family=dino_xcit,depth=2": 4,
    "ckpt:none.pth,family=capi,depth=3": 3,
    "ckpt:none.pth,family=moco": 16,
}


def untrained(text: str) -> Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(untrained=True))


@pytest.mark.parametrize("text", COUNTS)
def test_groups_hold_every_parameter_once(text: str) -> None:
    """Groups are the stem, each block, and the head; together they hold every parameter once."""
    backbone = untrained(text)
    groups = backbone.layer_groups()
    assert len(groups) == COUNTS[text] + 2
    assert all(groups[:-1])
    assert backbone.network is not None
    found = [id(parameter) for group in groups for parameter in group]
    assert sorted(found) == sorted(id(parameter) for parameter in backbone.network.parameters())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (
            "timm:vit_small_patch14_reg4_dinov2,size=56,depth=3",
            {"reg_token": 0, "blocks.2.ls2.gamma": 3, "norm.bias": 4},
        ),
        (
            "ckpt:none.pth,family=clip,depth=2",
            {"cls_token": 0, "norm_pre.bias": 0, "blocks.0.norm1.bias": 1, "proj": 3},
        ),
        ("timm:swin_tiny_patch4_window7_224", {"layers.1.downsample.norm.bias": 3, "layers.1.blocks.0.norm1.bias": 3}),
        ("timm:convnext_atto", {"stem.0.bias": 0, "stages.1.downsample.1.bias": 3, "head.norm.bias": 13}),
        ("timm:resnet18", {"conv1.weight": 0, "layer1.0.conv1.weight": 1, "layer4.1.bn2.bias": 8}),
    ],
)
def test_what_stands_where(text: str, where: dict[str, int]) -> None:
    """Tokens, positions and first norms stand in the stem; final norms and projections in the head; downsampling with
    the block behind it."""
    backbone = untrained(text)
    assert backbone.network is not None
    named = dict(backbone.network.named_parameters())
    groups = [{id(parameter) for parameter in group} for group in backbone.layer_groups()]
    assert {name: next(i for i, group in enumerate(groups) if id(named[name]) in group) for name in where} == where


@pytest.mark.parametrize("text", ["timm:vit_tiny_patch16_224,size=64", "ckpt:none.pth,family=dinov2,depth=5"])
def test_layers_on_request(text: str) -> None:
    """Layers come in the order in which they are asked, after the final norm; the last is what `forward` says."""
    backbone = untrained(text)
    images = torch.randn(2, 3, 64, 64)
    last, first = backbone.layers(images, [-1, 0])
    own = backbone.forward(images, "cls")
    torch.testing.assert_close(last.pooled, own.pooled)
    torch.testing.assert_close(last.dense, own.dense)
    assert (first.pooled - last.pooled).abs().max() > 0.01
    four = torch.cat([layer.pooled for layer in backbone.layers(images, [-4, -3, -2, -1])], dim=1)
    torch.testing.assert_close(backbone.forward(images, "cls_last4").pooled, four)


def test_stages_of_a_convolutional_network() -> None:
    """A convolutional network numbers its stages: the last is 1/32 of the image's side, the one before 1/16."""
    backbone = untrained("timm:convnext_atto")
    before, last = backbone.layers(torch.randn(1, 3, 64, 64), [-2, -1])
    assert before.dense is not None
    assert last.dense is not None
    assert (before.dense.shape[2:], last.dense.shape[2:]) == ((4, 4), (2, 2))
    torch.testing.assert_close(last.pooled, last.dense.mean((2, 3)))


def test_who_hands_out_none() -> None:
    """A control without a network, and a network whose blocks are not known, say so."""
    with pytest.raises(UsageError, match="has no network"):
        untrained("pixels").layer_groups()
    with pytest.raises(UsageError, match="BurgessEncoder hands out no groups"):
        untrained("vae_mnist").layer_groups()
    with pytest.raises(UsageError, match="hands out no layers"):
        untrained("vae_mnist").layers(torch.rand(1, 1, 32, 32), [-1])
