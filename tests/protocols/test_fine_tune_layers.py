"""Which rate and decay each parameter is fine-tuned with, beside the authors' own rules."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones import layers
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import UsageError
from ssl_bench.protocols import _recipes, _tuned

SCALES = [
    0.003697205891019,
    0.005688009063106,
    0.008750783174009,
    0.013462743344629,
    0.020711912837891,
    0.031864481289063,
    0.04902227890625,
    0.075418890625,
    0.1160290625,
    0.17850625,
    0.274625,
    0.4225,
    0.65,
    1.0,
]
"""Of a ViT-B's layers at 0.65, from stem to head, as printed by facebookresearch/mae, util/lr_decay.py
(`param_groups_lrd`), and by microsoft/unilm, beit/optim_factory.py (`get_parameter_groups`): equal in both."""
AUTHORS: dict[str, Any] = {
    # stem, each block, head: (parameters without decay, their numbers), (those with decay, their numbers), by the code
    # of facebookresearch/mae for vit_base_patch16, and of microsoft/unilm for a ViT-B with relative positions, 1,000
    # classes each
    "mae": (((3, 152_832), (1, 589_824)), ((8, 9_984), (4, 7_077_888)), ((3, 2_536), (1, 768_000))),
    "beit": (((2, 1_536), (1, 589_824)), ((11, 10_752), (5, 7_086_672)), ((3, 2_536), (1, 768_000))),
}
NETWORKS = {"mae": "ckpt:none.pth,family=mae,width=768", "beit": "timm:beit_base_patch16_224,init_values=0.1"}


def untrained(text: str) -> Backbone:
    return backbones.load(model_zoo.get(text), LoadContext(untrained=True))


def tuned(text: str, recipe: str = "mae", **stated: Any) -> _tuned.Tuned:
    return _tuned.tuned(untrained(text), _recipes.recipe(recipe, **stated), "default", 10, 0)


@pytest.mark.parametrize("name", ["mae", "beit"])
def test_groups_are_the_authors(name: str) -> None:
    """Of a ViT-B, shares of the rate, decays and numbers of parameters in each group are those of the authors' code."""
    recipe = _recipes.recipe(name)
    network = _tuned.tuned(untrained(NETWORKS[name]), recipe, "default", 1000, 0)
    found = {(round(group.rate_scale, 15), group.decay): group.parameters for group in network.groups(recipe, 0.05)}
    stem, block, head = AUTHORS[name]
    expected = {}
    for scale, (plain, decayed) in zip(SCALES, [stem, *[block] * 12, head], strict=True):
        expected |= {(scale, 0.0): plain, (scale, 0.05): decayed}
    assert {key: (len(own), sum(p.numel() for p in own)) for key, own in found.items()} == expected


def test_convolutional_networks_go_by_stages() -> None:
    """ConvNeXt-B has 12 layers of up to three blocks, with their downsampling, as its authors count; ResNet-50 six."""
    with torch.device("meta"):
        convnext: Any = untrained("timm:convnext_base").network
        resnet: Any = untrained("timm:resnet50").network
    assert [len(layers.decay_groups(network)) - 2 for network in (convnext, resnet)] == [12, 6]
    layer_of = {id(p): layer for layer, group in enumerate(layers.decay_groups(convnext)) for p in group}
    named = dict(convnext.named_parameters())
    places = {
        "stem.0.weight": 0,
        "stages.0.blocks.2.norm.weight": 1,
        "stages.1.downsample.1.weight": 2,
        "stages.2.downsample.1.weight": 3,
        "stages.2.blocks.2.norm.weight": 3,
        "stages.2.blocks.26.norm.weight": 11,
        "stages.3.downsample.1.weight": 12,
        "head.norm.weight": 13,
    }
    assert {name: layer_of[id(named[name])] for name in places} == places


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("timm:swin_tiny_patch4_window7_224", 12),
        ("torchvision:swin_t", 12 + 3),
        ("torchvision:vit_b_16", 12),
        ("torchvision:convnext_tiny", 10),
        ("open_clip:ViT-B-32", 12),
        ("timm:regnety_002", 7),
        ("timm:efficientnet_b0", 3),
        ("ckpt:none.pth,family=shufflenetv2", 7),
        ("ckpt:none.pth,family=cifar_resnet", 3),
    ],
)
def test_every_family_has_layers(text: str, count: int) -> None:
    """Transformers have a layer for each block, others for three of a stage; each parameter is in one of them."""
    network: Any = untrained(text).network
    groups = layers.decay_groups(network)
    assert len(groups) - 2 == count
    assert Counter(id(p) for group in groups for p in group) == Counter(id(p) for p in network.parameters())


def test_a_network_without_known_layers_is_told_what_to_ask() -> None:
    """A recipe with layer decay is refused in one line that names the way out; with one rate it is trained."""
    recipe = _recipes.recipe("mae")
    network = tuned("vae_mnist")
    with pytest.raises(UsageError, match=r"BurgessEncoder hands out no groups.*layer_decay=1") as caught:
        network.groups(recipe, 0.05)
    assert "\n" not in str(caught.value)
    groups = network.groups(dataclasses.replace(recipe, layer_decay=1.0), 0.05)
    assert {group.rate_scale for group in groups} == {1.0}


def test_sgd_may_decay_all() -> None:
    """kornblith decays every parameter, as torch's SGD does unless told otherwise."""
    network = tuned("ckpt:none.pth,family=cifar_resnet,depth=8", "kornblith")
    [group] = network.groups(_recipes.recipe("kornblith"), 0.01)
    assert group.decay == 0.01
    assert len(group.parameters) == len(list(network.parameters()))


def test_low_rank_matrices_alone_are_trained() -> None:
    """lora trains matrices of rank 16 beside each block's queries and values, and the head."""
    network = tuned("ckpt:none.pth,family=mae,width=64,depth=2,heads=2,size=32", "lora")
    trained = {name: tuple(p.shape) for name, p in network.named_parameters() if p.requires_grad}
    assert sorted(trained.values()) == sorted([(16, 64), (192, 16)] * 2 + [(10, 64), (10,)])
    with pytest.raises(UsageError, match="CifarResNet has no attention"):
        tuned("ckpt:none.pth,family=cifar_resnet,depth=8", "lora")


def test_the_last_blocks_alone_are_trained() -> None:
    """partial trains the last blocks and what stands behind them."""
    network = tuned("ckpt:none.pth,family=mae,width=64,depth=3,heads=2,size=32", "partial", blocks=1)
    trained = {name.split(".")[0] + name.split(".")[1] for name, p in network.named_parameters() if p.requires_grad}
    parts = {".".join(name.split(".")[1:3]) for name, p in network.network.named_parameters() if p.requires_grad}
    assert trained == {"networkblocks", "normweight", "normbias", "headweight", "headbias"}
    assert parts <= {"2.norm1", "2.norm2", "2.attn", "2.mlp"}
    with pytest.raises(UsageError, match="blocks=9, but ViT has 3"):
        tuned("ckpt:none.pth,family=mae,width=64,depth=3,heads=2,size=32", "partial", blocks=9)


def test_the_norm_moves_behind_the_mean() -> None:
    """mae and beit read the mean over patches before the final norm, through a new norm; dinov2_style cls behind the
    network's own; a convolutional network its mean."""
    small = "ckpt:none.pth,family=mae,width=64,depth=2,heads=2,size=32"
    network = tuned(small)
    images = torch.randn(3, 3, 32, 32)
    own: Any = untrained(small).network
    own.norm = torch.nn.Identity()
    means = own.forward_features(images)[:, 1:].mean(1)
    expected = torch.nn.functional.layer_norm(means, (64,), eps=1e-6) @ network.head.weight.T
    torch.testing.assert_close(network(images), expected)
    assert type(tuned(small, "dinov2_style").norm) is torch.nn.Identity
    assert tuned(small, "dinov2_style").pooling == "cls"
    assert tuned("ckpt:none.pth,family=cifar_resnet,depth=8").pooling == "gap"


def test_heads_start_as_published() -> None:
    """MAE's weights have a deviation of 2e-5, BEiT's 0.02 times 0.001; both start from biases of 0."""
    small = "ckpt:none.pth,family=mae,width=64,depth=2,heads=2,size=32"
    for name, deviation in (("mae", 2e-5), ("beit", 2e-5), ("dinov2_style", 2e-5), ("kornblith", 0.125 / 3**0.5)):
        head = tuned(small, name).head
        assert float(head.weight.detach().std()) == pytest.approx(deviation, rel=0.1)
        assert bool((head.bias == 0).all()) == (name != "kornblith")


def test_drop_path_rises_with_depth() -> None:
    """The first block is never left out, the last with the recipe's probability; a network without a place for it says
    0."""
    network = tuned("ckpt:none.pth,family=mae,width=64,depth=5,heads=2,size=32", drop_path=0.2)
    odds = [getattr(block.drop_path1, "drop_prob", 0.0) for block in network.network.blocks]
    assert odds == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2])
    assert network.dropped == 0.2
    assert tuned("ckpt:none.pth,family=cifar_resnet,depth=8").dropped == 0.0


def test_the_backbone_stays_as_it_was() -> None:
    """A copy is trained: the backbone's tensors have no gradients, and its features none either."""
    backbone = untrained("ckpt:none.pth,family=mae,width=64,depth=2,heads=2,size=32")
    before = backbone.weights_digest()
    network = _tuned.tuned(backbone, _recipes.recipe("mae"), "default", 10, 0)
    network(torch.randn(2, 3, 32, 32)).sum().backward()
    torch.optim.SGD(network.parameters(), lr=1.0).step()
    assert backbone.weights_digest() == before
    assert not backbone.forward(torch.randn(2, 3, 32, 32), "cls").pooled.requires_grad
    assert network.network.blocks[0].mlp.fc1.weight.grad.abs().sum() > 0
