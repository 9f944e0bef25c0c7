"""Families of convolutional networks: files in their authors' layout, and what no shape of theirs shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

from ssl_bench.errors import UsageError
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, other, randomised, training, under


def resnet(block: type[nn.Module] = Bottleneck, **given: Any) -> Any:
    """Return torchvision's ResNet of few blocks without its classifier."""
    network = torchvision.models.ResNet(block, [1, 2, 1, 1], **given)
    network.fc = nn.Identity()
    return randomised(network)


def small(network: Any, padding: int = 1) -> Any:
    """Give a ResNet the stem for small images."""
    network.conv1 = nn.Conv2d(3, 64, 3, padding=padding, bias=False)
    network.maxpool = nn.Identity()
    return randomised(network)


def numbered(state: State, stem: int, first: int) -> State:
    """Return the names that `nn.Sequential` gives; `first` is the place of the first stage."""
    found = {}
    for key, tensor in state.items():
        key = key.replace("conv1.", "0.", 1) if key.startswith("conv1.") else key
        key = key.replace("bn1.", f"{stem}.", 1) if key.startswith("bn1.") else key
        found[re.sub(r"^layer(\d)\.", lambda stage: f"{first - 1 + int(stage[1])}.", key)] = tensor
    return found


def shortcuts(state: State) -> State:
    return {key.replace(".downsample.", ".shortcut."): tensor for key, tensor in state.items()}


def blocks(state: State) -> State:
    """Return OBoW's names."""
    found = {}
    for key, tensor in state.items():
        key = re.sub(r"^layer(\d)\.", r"_feature_blocks.\1.", key)
        key = re.sub(r"^conv1\.", "_feature_blocks.0.Conv.", key)
        found[re.sub(r"^bn1\.", "_feature_blocks.0.bn.", key)] = tensor
    return found


LAYOUTS: dict[str, Any] = {
    "resnet, torchvision": lambda s: under("", s, "fc.weight", "fc.bias"),
    "resnet, mmpretrain": lambda s: {
        "meta": {},
        "state_dict": under("backbone.", s, "neck.fc0.weight", "head.weight", "encoder_k.0.conv1.weight"),
    },
    "resnet, PyContrast": lambda s: training(
        model=under("module.encoder.", s, "module.head.0.weight", "module.head_jig.fc.weight")
    ),
    "resnet, SupCon": lambda s: training(model=under("encoder.module.", s, "head.0.weight")),
    "resnet, PixPro": lambda s: training(
        model=under("module.encoder.", s, "module.projector.linear1.weight") | under("module.encoder_k.", other(s))
    ),
    "resnet, lemniscate": lambda s: training(state_dict=under("module.", s, "module.fc.weight"), lemniscate=ONE),
    "resnet, SeLa": lambda s: {"state_dict": under("", s, "fc.weight", "fc.bias"), "labels": torch.ones(1, 3)},
    "resnet, MFM": lambda s: training(model=under("encoder.", s, "decoder.0.weight")),
    "resnet, lightly": lambda s: training(
        state_dict=under("backbone.", s, "projection_head.layers.0.weight", "online_classifier.linear.weight")
        | under("teacher_backbone.", other(s))
    ),
    "resnet, numbered": lambda s: training(
        state_dict=under("backbone.", numbered(s, 1, 4), "projection_head.layers.0.weight")
        | under("backbone_momentum.", numbered(other(s), 1, 4))
    ),
    "moco, ReSim": lambda s: training(
        state_dict=under("module.encoder_q.", s, "module.encoder_q.fc.0.weight", "module.encoder_q.fpn_lateral5.weight")
        | under("module.encoder_k.", other(s))
    ),
    "obow": lambda s: {"epoch": 200, "network": blocks(s), "meters": None},
    "obow, whole": lambda s: {
        "network": under("feature_extractor.", blocks(s), "bow_predictor.scale")
        | under("feature_extractor_teacher.", blocks(other(s)))
    },
    "obow, torchvision": lambda s: {"network": under("", s, "fc.weight")},
    "solo_learn": lambda s: training(
        state_dict=under("backbone.", s, "projector.0.weight", "classifier.weight")
        | under("momentum_backbone.", other(s))
    ),
    "solo_learn, older": lambda s: training(state_dict=under("encoder.", s, "projector.0.weight")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path: Path, layout: str) -> None:
    """A ResNet loads from its authors' layout; feature and map are those of torchvision's network."""
    source = resnet()
    backbone = load(tmp_path, LAYOUTS[layout](source.state_dict()), layout.partition(",")[0])
    found = backbone.forward(images(), "gap")
    with torch.inference_mode():
        assert_same(found.pooled, source(images()))
    assert found.dense is not None
    assert_same(found.dense.mean((2, 3)), found.pooled)


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (lambda: resnet(BasicBlock), {"basic": True}),
        (lambda: resnet(groups=32, width_per_group=4), {"groups": 32, "group_width": 4}),
        (lambda: resnet(width_per_group=128), {"group_width": 128}),
        (lambda: small(resnet(BasicBlock)), {"basic": True, "small_stem": True}),
        (resnet, {}),
    ],
)
def test_unusual_resnets_are_known_by_their_shapes(tmp_path: Path, source: Any, shown: dict[str, Any]) -> None:
    """ResNet-18, ResNeXt, wide ResNet and the stem for small images are read off, and nothing is said of usual ones."""
    network = source()
    backbone = load(tmp_path, network.state_dict(), "resnet")
    with torch.inference_mode():
        assert_same(backbone.forward(images(32), "gap").pooled, network(images(32)))
    usual = {"class": "ResNet", "family": "resnet", "depths": [1, 2, 1, 1], "widen": 1}
    assert backbone.arch() == {**usual, **shown}


def test_networks_of_lightly_for_small_images(tmp_path: Path) -> None:
    """lightly's own ResNets are numbered without places for ReLU and pooling, and call downsampling a shortcut."""
    source = small(resnet(BasicBlock))
    state = under("backbone.", numbered(shortcuts(source.state_dict()), 1, 2), "projection_head.0.weight")
    with torch.inference_mode():
        expected = source(images(32))
    assert_same(load(tmp_path, {"state_dict": state}, "resnet").forward(images(32), "gap").pooled, expected)


def test_solo_learn_pads_small_images_by_two(tmp_path: Path) -> None:
    """solo-learn's stem for CIFAR pads by 2; padded by 1, as elsewhere, its file loads as strictly and says other."""
    source = small(resnet(BasicBlock), padding=2)
    content = {"state_dict": under("backbone.", source.state_dict(), "projector.0.weight")}
    backbone = load(tmp_path, content, "solo_learn")
    with torch.inference_mode():
        expected = source(images(32))
    assert_same(backbone.forward(images(32), "gap").pooled, expected)
    assert backbone.arch()["stem_padding"] == 2
    assert (load(tmp_path, content, "resnet").forward(images(32), "gap").pooled - expected).abs().max() > 0.01


def test_crw_keeps_the_resolution(tmp_path: Path) -> None:
    """CRW's last stages have stride 1 and its padding reflects; zeros and strides load as strictly and say other."""
    source = resnet(BasicBlock)
    state = source.state_dict()
    backbone = load(tmp_path, training(model=under("encoder.model.", state, "selfsim_fc.0.weight")), "crw")
    for layer in source.modules():
        if isinstance(layer, nn.Conv2d) and layer.padding != (0, 0):
            layer.padding_mode = "reflect"
    for layer in source.layer3.modules():
        if isinstance(layer, nn.Conv2d):
            layer.stride = (1, 1)
    with torch.inference_mode():
        stem = source.maxpool(source.relu(source.bn1(source.conv1(images()))))
        expected = source.layer3(source.layer2(source.layer1(stem)))
    found = backbone.forward(images(), "gap")
    assert_same(found.dense, expected)
    zeros = load(tmp_path, training(model=under("encoder.model.", state)), "crw", ",padding=zeros")
    assert (zeros.forward(images(), "gap").pooled - found.pooled).abs().max() > 0.01


def test_colorization_sees_lightness_alone(tmp_path: Path) -> None:
    """VISSL's networks of colorization take the lightness less 50 and keep the resolution of their last stage."""
    source = resnet()
    source.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
    source = randomised(source)
    content = {
        "classy_state_dict": {"base_model": {"model": {"trunk": under("_feature_blocks.", source.state_dict())}}}
    }
    backbone = load(tmp_path, content, "vissl_colorization")
    for layer in (source.layer4[0].conv2, source.layer4[0].downsample[0]):
        layer.stride = (1, 1)
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "gap").pooled, source(images()[:, :1]))
    assert (backbone.input.channels, backbone.input.mean[0], backbone.input.std[0]) == ("lab", 50.0, 1.0)
    with pytest.raises(UsageError, match="vissl_colorization"):
        load(tmp_path, content, "vissl")
