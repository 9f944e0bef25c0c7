"""Networks born in TensorFlow and JAX: padding behind the image, selective kernels, files as converters write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints.same_padding import SameConv2d, SameMaxPool2d
from ssl_bench.checkpoints.selective_kernels import SelectiveResNet
from tests.checkpoints.layouts import ONE, State, assert_same, images, load, randomised, under
from tests.checkpoints.test_nets_families import resnet


def behind(x: Tensor, layer: Any, fill: float = 0.0) -> Tensor:
    """Return what a layer of kernel 3 or 7 and stride 2 says of maps of even sides, padded as SAME does."""
    kernel = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
    before, after = (kernel - 2) // 2, kernel - 2 - (kernel - 2) // 2
    padded = functional.pad(x, (before, after, before, after), value=fill)
    if isinstance(layer, nn.MaxPool2d):
        return functional.max_pool2d(padded, kernel, 2)
    return functional.conv2d(padded, layer.weight, stride=2)


def padded_same(network: Any, *, convolutions: bool) -> Any:
    """Make torchvision's ResNet pad behind the image: its pooling, or its strided convolutions too."""
    for layer in network.modules():
        if isinstance(layer, nn.MaxPool2d) or (convolutions and getattr(layer, "stride", 1) == (2, 2)):
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
                continue
            layer.forward = lambda x, layer=layer: behind(x, layer, -1e9 if isinstance(layer, nn.MaxPool2d) else 0.0)
    return network


@pytest.mark.parametrize(("family", "convolutions"), [("byol", True), ("simclr", False)])
def test_networks_that_pad_behind_the_image(tmp_path: Path, family: str, convolutions: bool) -> None:
    """BYOL pads strided layers as JAX does, SimCLR its pooling alone; torch's loads as strictly and says other."""
    source = resnet()
    state = source.state_dict()
    backbone = load(tmp_path, state if family == "byol" else {"state_dict": under("", state, "fc.weight")}, family)
    wrong = load(tmp_path, state, "resnet").forward(images(), "gap").pooled
    with torch.inference_mode():
        expected = padded_same(source, convolutions=convolutions)(images())
    assert_same(backbone.forward(images(), "gap").pooled, expected)
    assert (wrong - expected).abs().max() > 0.01
    plain = (backbone.input.mean, backbone.input.std) == ((0.0,) * 3, (1.0,) * 3)
    assert plain == (family == "simclr")


@pytest.mark.parametrize("side", [7, 8, 9, 10])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (7, 2), (3, 1)])
def test_same_padding_is_that_of_onnx(side: int, kernel: int, stride: int) -> None:
    """SAME pads as ONNX's SAME_UPPER does, for even and odd sides, in convolutions and poolings."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper, reference

    x = torch.randn(1, 2, side, side + 1, generator=torch.Generator().manual_seed(0))
    layer = SameConv2d(2, 2, kernel, stride=stride, bias=False)
    pool = SameMaxPool2d(kernel, stride)
    given = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "auto_pad": "SAME_UPPER"}
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], **given), helper.make_node("MaxPool", ["x"], ["p"], **given)]
    named = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xwcp"]
    graph = helper.make_graph(nodes, "same", named[:2], named[2:])
    said = reference.ReferenceEvaluator(helper.make_model(graph)).run(
        None, {"x": x.numpy(), "w": layer.weight.detach().numpy()}
    )
    assert_same(layer(x), torch.from_numpy(said[0]))
    assert_same(pool(x), torch.from_numpy(said[1]))


def simclrv2_names(state: State) -> State:
    """Return torchvision's tensors under the names of the converted SimCLR v2."""
    parts = {"conv1": "net.0", "bn1": "net.1.0", "conv2": "net.2", "bn2": "net.3.0", "conv3": "net.4", "bn3": "net.5.0"}
    parts |= {"downsample.0": "projection.shortcut", "downsample.1": "projection.bn.0"}
    found = {}
    for key, tensor in state.items():
        stage, _, rest = key.partition(".")
        if not stage.startswith("layer"):
            found[{"conv1": "net.0.0.", "bn1": "net.0.1.0."}[stage] + rest] = tensor
            continue
        block, _, name = rest.partition(".")
        part = next(part for part in parts if name.startswith(f"{part}."))
        found[f"net.{stage[-1]}.blocks.{block}.{parts[part]}{name.removeprefix(part)}"] = tensor
    return found


def test_simclrv2(tmp_path: Path) -> None:
    """SimCLR v2 loads as its converter writes it, pools behind the image, and sees pixels of 0..1."""
    source = resnet()
    content = {"resnet": under("", simclrv2_names(source.state_dict()), "fc.weight"), "head": {"0.weight": ONE}}
    backbone = load(tmp_path, content, "simclrv2")
    with torch.inference_mode():
        assert_same(backbone.forward(images(), "gap").pooled, padded_same(source, convolutions=False)(images()))
    assert (backbone.input.mean, backbone.input.std) == ((0.0,) * 3, (1.0,) * 3)


def normed(x: Tensor, state: State, name: str) -> Tensor:
    parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    return functional.batch_norm(x, *parts)


def selective_block(x: Tensor, state: State, name: str, stride: int) -> Tensor:
    """Return a projected block of selective kernels, by the formulas of google-research/simclr for even sides."""
    y = functional.conv2d(x, state[f"{name}.net.0.weight"])
    y = normed(y, state, f"{name}.net.1.0").relu()
    y = functional.conv2d(y, state[f"{name}.net.2.main_conv.0.weight"], stride=stride, padding=1)
    left, right = normed(y, state, f"{name}.net.2.main_conv.1.0").relu().chunk(2, 1)
    shown = functional.conv2d((left + right).mean((2, 3), keepdim=True), state[f"{name}.net.2.mixing_conv.0.weight"])
    shown = normed(shown, state, f"{name}.net.2.mixing_conv.1.0").relu()
    first, second = functional.conv2d(shown, state[f"{name}.net.2.mixing_conv.2.weight"]).chunk(2, 1)
    share = torch.sigmoid(first - second)
    y = functional.conv2d(share * left + (1 - share) * right, state[f"{name}.net.3.weight"])
    counted = functional.pad(torch.ones_like(x), (0, 1, 0, 1))
    padded = functional.pad(x, (0, 1, 0, 1))
    mean = functional.avg_pool2d(padded, 2, stride) / functional.avg_pool2d(counted, 2, stride)
    shortcut = functional.conv2d(mean, state[f"{name}.projection.shortcut.2.weight"])
    y = normed(y, state, f"{name}.net.4.0") + normed(shortcut, state, f"{name}.projection.bn.0")
    return y.relu()


def test_selective_kernels_of_simclrv2(tmp_path: Path) -> None:
    """Selective kernels are read off; the network follows TensorFlow's formulas, whose means leave padding out."""
    state = randomised(SelectiveResNet((1, 1, 1, 1), 1)).state_dict()
    backbone = load(tmp_path, {"resnet": under("", state, "fc.weight"), "head": {}}, "simclrv2")
    x = images()
    for place in (0, 2, 4):
        x = functional.conv2d(x, state[f"net.0.{place}.weight"], stride=1 if place else 2, padding=1)
        x = normed(x, state, f"net.0.{place + 1}.0").relu()
    x = functional.max_pool2d(functional.pad(x, (0, 1, 0, 1)), 3, 2)
    for stage in (1, 2, 3, 4):
        x = selective_block(x, state, f"net.{stage}.blocks.0", 1 if stage == 1 else 2)
    dense = backbone.forward(images(), "gap").dense
    assert dense is not None
    assert_same(dense / x.max(), x / x.max())
    assert (backbone.arch()["selective"], backbone.arch()["depths"]) == (True, [1, 1, 1, 1])
