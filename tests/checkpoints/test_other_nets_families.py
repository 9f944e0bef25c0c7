"""Families of convolutional networks that are no ResNets: files in their authors' layout against other networks."""

from __future__ import annotations

import itertools
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.models.regnet import _filter_fn as timm_regnet_names
from timm.models.resnetv2 import _create_resnetv2_bit as timm_bit
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

from ssl_bench.checkpoints import families
from ssl_bench.checkpoints.families.vissl_alexnet import KINDS
from tests.checkpoints.layouts import State, assert_same, images, load, randomised, training, under

REGNET = (
    (r"^stem\.", "conv1.stem."),
    (r"^trunk_output\.block(\d)\.block\d-(\d+)\.", r"res\1.block\1-\2."),
    (r"\.proj\.0\.weight", ".proj.weight"),
    (r"\.proj\.1\.", ".bn."),
    (r"\.f\.c\.0\.weight", ".f.c.weight"),
    (r"\.f\.c\.1\.", ".f.final_bn."),
    (r"\.se\.fc1\.", ".se.excitation.0."),
    (r"\.se\.fc2\.", ".se.excitation.2."),
)
"""From torchvision's names to those of VISSL's trunks."""


def vissl(trunk: State) -> dict[str, Any]:
    return training(classy_state_dict={"base_model": {"model": {"trunk": trunk, "heads": {}}}})


def test_regnets_of_vissl(tmp_path: Path) -> None:
    """A RegNet loads from VISSL's trunk, whose names timm's own rules read alike; torchvision's file fits too."""
    source = torchvision.models.regnet_y_400mf()
    source.fc = nn.Identity()
    source = randomised(source)
    trunk = {}
    for key, tensor in source.state_dict().items():
        for ours, theirs in REGNET:
            key = re.sub(ours, theirs, key)
        trunk[f"_feature_blocks.{key}"] = tensor
    with torch.inference_mode():
        expected = source(images())
    backbone = load(tmp_path, vissl(trunk), "vissl_regnet")
    assert_same(backbone.forward(images(), "gap").pooled, expected)
    assert_same(load(tmp_path, source.state_dict(), "vissl_regnet").forward(images(), "gap").pooled, expected)
    reference = timm.create_model("regnety_004", num_classes=0).eval()
    reference.load_state_dict(timm_regnet_names(vissl(trunk)), strict=True)
    with torch.inference_mode():
        assert_same(reference(images()), expected)
    assert (backbone.arch()["widths"], backbone.arch()["depths"]) == ([48, 104, 208, 440], [1, 3, 6, 6])


def alexnet(x: Tensor, state: State, kind: str) -> Tensor:
    """Return the map of the fifth convolution, by the layers of VISSL's trunks."""
    stride, padding = (2 if kind == "jigsaw" else 4), (2 if kind in ("rotnet", "deepcluster") else 0)
    groups = 1 if kind in ("rotnet", "deepcluster") else 2
    if kind == "deepcluster":
        x = functional.conv2d(x, state["sobel.0.weight"], state["sobel.0.bias"])
        x = functional.conv2d(x, state["sobel.1.weight"], state["sobel.1.bias"], padding=1)
    for place, block in enumerate((0, 2, 4, 5, 6)):
        given = {"stride": stride, "padding": padding} if place == 0 else {"padding": 2 if place == 1 else 1}
        given["groups"] = groups if place in (1, 3, 4) else 1
        x = functional.conv2d(x, state[f"{block}.0.weight"], state[f"{block}.0.bias"], **given)
        if kind not in ("supervised", "jigsaw") or (kind == "jigsaw" and place > 1):
            parts = (state[f"{block}.1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
            x = functional.batch_norm(x, *parts)
        x = x.relu()
        if place < 2 and kind == "supervised":
            x = functional.max_pool2d(functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75), 3, 2)
        elif place < 2:
            x = functional.max_pool2d(x, 3, 2)
            x = functional.local_response_norm(x, 5, alpha=1e-4, beta=0.75) if kind == "jigsaw" else x
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_alexnets_of_vissl(tmp_path: Path, kind: str) -> None:
    """Each of VISSL's five AlexNets is known by its shapes and computed by its own layers."""
    state = randomised(families.get("vissl_alexnet", "test").build(kind=kind)).state_dict()
    trunk = {key if key.startswith("sobel") else f"_feature_blocks.{key}": tensor for key, tensor in state.items()}
    backbone = load(tmp_path, vissl(trunk), "vissl_alexnet")
    assert backbone.arch()["kind"] == kind
    given = 100 * images(128)
    found = backbone.forward(given, "gap")
    expected = alexnet(given[:, :1] if kind == "colorization" else given, state, kind)
    assert_same(found.dense, expected)
    assert_same(found.pooled, expected.mean((2, 3)))


def bit_arrays(source: nn.Module) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a BiT file: kernels as (height, width, inputs, outputs)."""
    found = {"resnet/head/conv2d/kernel": np.zeros((1, 1, 2048, 3), np.float32), "resnet/head/conv2d/bias": np.zeros(3)}
    for key, tensor in source.state_dict().items():
        parts = re.match(r"stages\.(\d)\.blocks\.(\d+)\.(conv|norm|downsample\.conv)(\d?)\.(weight|bias)", key)
        kind = "standardized_conv2d/kernel" if "conv" in key else f"group_norm/{'gamma' if 'weight' in key else 'beta'}"
        if parts:
            letter = "a/proj" if parts[3].startswith("down") else "abc"[int(parts[4]) - 1]
            name = f"block{int(parts[1]) + 1}/unit{int(parts[2]) + 1:02d}/{letter}/{kind}"
        else:
            name = f"root_block/{kind}" if key.startswith("stem.") else kind
        found[f"resnet/{name}"] = (tensor.permute(2, 3, 1, 0) if tensor.ndim == 4 else tensor).numpy()
    return found


def test_bit(tmp_path: Path) -> None:
    """BiT's arrays become the network that timm's own loader makes of them; pixels are in -1..1."""
    given = {"layers": (1, 2, 1, 1), "width_factor": 1, "num_classes": 0}
    arrays = bit_arrays(randomised(timm_bit("resnetv2_50x1_bit", **given)))
    np.savez(tmp_path / "bit.npz", **arrays)
    source = timm_bit("resnetv2_50x1_bit", **given).eval()
    source.load_pretrained(str(tmp_path / "bit.npz"))
    backbone = load(tmp_path, {key: torch.from_numpy(array).float() for key, array in arrays.items()}, "bit")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "gap").pooled, source(images()))
    assert (backbone.arch()["depths"], backbone.arch()["widen"]) == ([1, 2, 1, 1], 1)
    assert (backbone.input.mean, backbone.input.std) == ((0.5,) * 3, (0.5,) * 3)


def test_projected_shortcuts_of_small_resnets(tmp_path: Path) -> None:
    """A ResNet for CIFAR whose shortcuts project is known by them; those of option A have no tensors at all."""
    widths = (16, 16, 32, 64)
    stages = []
    for inputs, outputs in itertools.pairwise(widths):
        stride = 1 if inputs == outputs else 2
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))
        stages.append(nn.Sequential(BasicBlock(inputs, outputs, stride, shortcut if stride == 2 else None)))
    parts = {"conv1": nn.Conv2d(3, 16, 3, padding=1, bias=False), "bn1": nn.BatchNorm2d(16), "relu": nn.ReLU()}
    parts |= {f"layer{number}": stage for number, stage in enumerate(stages, start=1)}
    source = randomised(nn.Sequential(OrderedDict(parts)))
    backbone = load(tmp_path, {"backbone": source.state_dict(), "relation": {}}, "cifar_resnet")
    with torch.inference_mode():
        assert_same(backbone.forward(images(32), "gap").dense, source(images(32)))
    assert (backbone.arch()["projected"], backbone.arch()["depth"]) == (True, 8)


def test_espnet_sees_small_values(tmp_path: Path) -> None:
    """ESPNet's pixels are normalised as 0..255 and then divided by 255 again, blue first."""
    network = randomised(families.get("espnet", "test").build(depths=(1, 2)))
    backbone = load(tmp_path, under("", network.state_dict(), "classifier.conv.weight"), "espnet")
    spec = backbone.input
    assert (spec.channels, backbone.arch()["depths"]) == ("bgr", [1, 2])
    authors = [(200.0 - mean) / std / 255 for mean, std in ((72.3923111, 45.3192215), (82.90893555, 46.15289307))]
    ours = [(200.0 / 255 - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    assert ours[:2] == pytest.approx(authors)
    found = backbone.forward(images(), "gap")
    assert found.dense is not None
    assert found.dense.shape == (2, 256, 8, 8)
    assert {norm.eps for norm in network.modules() if isinstance(norm, nn.BatchNorm2d)} == {1e-3}
