"""The adapter for ONNX files, on graphs made here and on two real CIFAR-10 vision transformers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import MissingError, UsageError
from tests.backbones.test_real_checkpoints import cifar, features

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
TensorProto, helper, numpy_helper = onnx.TensorProto, onnx.helper, onnx.numpy_helper
KERNEL = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)


def save(path: Path, *, batch: Any = "n", size: Any = 8, shift: float = 0.0, layout: str = "NCHW", **more: Any) -> Path:
    """Write a graph: a convolution with stride 2 (`map`), its mean (`mean`), and twice that (`twice`, the output)."""
    shape = [batch, 3, size, size] if layout == "NCHW" else [batch, size, size, 3]
    nodes = [
        helper.make_node("Conv", ["first", "kernel"], ["map"], strides=[2, 2]),
        helper.make_node("ReduceMean", ["map"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Reshape", ["map", "flat"], ["channels"]),
        helper.make_node("Transpose", ["channels"], ["tokens"], perm=[0, 2, 1]),
        helper.make_node("Add", ["mean", "mean"], ["twice"]),
        *more.pop("nodes", []),
    ]
    start = ("Cast", {"to": TensorProto.FLOAT}) if layout == "NCHW" else ("Transpose", {"perm": [0, 3, 1, 2]})
    nodes.insert(0, helper.make_node(start[0], ["images"], ["first"], **start[1]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", more.pop("kind", TensorProto.FLOAT), shape)],
        [
            helper.make_tensor_value_info("twice", TensorProto.FLOAT, [batch, 4]),
            helper.make_tensor_value_info("map", TensorProto.FLOAT, [batch, 4, None, None]),
        ],
        [
            numpy_helper.from_array(KERNEL + np.float32(shift), "kernel"),
            numpy_helper.from_array(np.array([0, 4, -1]), "flat"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13), *more.pop("opsets", [])], ir_version=8)
    onnx.save_model(model, str(path), **more)
    return path


def load(path: Path, options: str = "") -> Backbone:
    card = model_zoo.get(f"onnx:{path}{options}")
    return backbones.load(card, LoadContext(model_zoo.weights_state(card).path))


def expected(images: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.conv2d(images, torch.from_numpy(KERNEL), stride=2)


def images(count: int = 5, size: int = 8) -> torch.Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_first_output_is_the_feature(tmp_path: Path) -> None:
    """Unless the card says otherwise the feature is the file's first output, at the size that the file fixes."""
    backbone = load(save(tmp_path / "a.onnx"))
    assert (backbone.input.size, backbone.poolings, backbone.default_pooling) == ((8, 8), ("output",), "output")
    torch.testing.assert_close(backbone.forward(images(), "output").pooled, 2 * expected(images()).mean((2, 3)))
    assert backbone.parameter_count() == KERNEL.size


@pytest.mark.parametrize("option", [",output=1", ",output=map"])
def test_a_map_is_averaged(tmp_path: Path, option: str) -> None:
    """An output (images, dim, height, width), by number or name, is a dense map whose mean is `gap`."""
    backbone = load(save(tmp_path / "a.onnx"), option)
    found = backbone.forward(images(), "gap")
    torch.testing.assert_close(found.dense, expected(images()))
    torch.testing.assert_close(found.pooled, expected(images()).mean((2, 3)))
    assert backbone.poolings == ("gap",)


def test_a_tensor_inside_the_graph(tmp_path: Path) -> None:
    """`arch.output` may name a tensor that the file does not give out; another name is told with the nearest."""
    path = save(tmp_path / "a.onnx")
    inside, outside = load(path, ",output=mean"), load(path)
    torch.testing.assert_close(inside.forward(images(), "output").pooled, expected(images()).mean((2, 3)))
    assert inside.weights_digest() == outside.weights_digest()
    assert inside.arch() != outside.arch()
    with pytest.raises(UsageError, match=r"no tensor is called 'meen'\. Did you mean mean"):
        load(path, ",output=meen")
    with pytest.raises(UsageError, match="it has 2 outputs"):
        load(path, ",output=2")
    with pytest.raises(UsageError, match="Did you mean output"):
        load(path, ",outputs=1")


def test_tokens_need_their_prefix(tmp_path: Path) -> None:
    """Tokens (images, tokens, dim) are pooled only where the card says how many of them are no patch."""
    path = save(tmp_path / "a.onnx")
    with pytest.raises(UsageError, match=r"arch\.prefix_tokens"):
        load(path, ",output=tokens")
    found = load(path, ",output=tokens,prefix_tokens=0").forward(images(), "patch_mean")
    torch.testing.assert_close(found.dense, expected(images()))
    backbone = load(path, ",output=tokens,prefix_tokens=1")
    tokens = expected(images()).flatten(2).transpose(1, 2)
    torch.testing.assert_close(backbone.forward(images(), "patch_mean").pooled, tokens[:, 1:].mean(1))
    torch.testing.assert_close(backbone.forward(images(), "cls").pooled, tokens[:, 0])


def test_a_fixed_batch_a_free_size_and_channels_last(tmp_path: Path) -> None:
    """A file that fixes its batch gets batches of that size; a free size is the card's; channels may come last."""
    wanted = 2 * expected(images()).mean((2, 3))
    for path in (save(tmp_path / "two.onnx", batch=2), save(tmp_path / "last.onnx", layout="NHWC")):
        torch.testing.assert_close(load(path).forward(images(), "output").pooled, wanted)
    free = save(tmp_path / "free.onnx", size="side")
    assert load(free).input.size == (224, 224)
    assert load(free, ",size=16").forward(images(size=16), "output").pooled.shape == (5, 4)
    with pytest.raises(UsageError, match="takes 8x8 pixels alone"):
        load(tmp_path / "two.onnx", ",size=16")
    with pytest.raises(UsageError, match="takes 3 channels"):
        load(tmp_path / "two.onnx", ",channels=grey,mean=[0.5],std=[0.5]")


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    """Other initializers change the digest of the weights, another graph that of the architecture; a path neither."""
    one, same, moved = (load(save(tmp_path / name, shift=shift)) for name, shift in (("a", 0), ("b", 0), ("c", 1)))
    assert one.weights_digest() == same.weights_digest() != moved.weights_digest()
    assert one.arch() == same.arch() == moved.arch()
    longer = load(save(tmp_path / "d", nodes=[helper.make_node("Relu", ["mean"], ["more"])]))
    assert longer.weights_digest() == one.weights_digest()
    assert longer.arch() != one.arch()


def test_what_is_not_safe_or_not_whole_is_refused(tmp_path: Path) -> None:
    """Files that read others, need foreign operators, are truncated or take no images are refused in one line."""
    outside = save(tmp_path / "o.onnx", save_as_external_data=True, location="other", size_threshold=0)
    with pytest.raises(UsageError, match=r"in another file\. Make one file"):
        load(outside)
    hidden = helper.make_graph(
        [], "hidden", [], [], list(onnx.load(str(outside), load_external_data=False).graph.initializer)
    )
    branch = helper.make_node("If", ["mean"], ["chosen"], then_branch=hidden, else_branch=hidden)
    with pytest.raises(UsageError, match="kernel in another file"):
        load(save(tmp_path / "h.onnx", nodes=[branch]))
    foreign = helper.make_node("Steal", ["mean"], ["stolen"], domain="my.lab")
    path = save(tmp_path / "f.onnx", nodes=[foreign], opsets=[helper.make_opsetid("my.lab", 1)])
    with pytest.raises(UsageError, match=r"operator my\.lab\.Steal"):
        load(path)
    (tmp_path / "t.onnx").write_bytes(path.read_bytes()[:100])
    (tmp_path / "e.onnx").write_bytes(b"")
    for name in ("t.onnx", "e.onnx"):
        with pytest.raises(UsageError, match=r"no whole ONNX file|no ONNX model"):
            load(tmp_path / name)
    with pytest.raises(UsageError, match="floating-point images"):
        load(save(tmp_path / "i.onnx", kind=TensorProto.INT64))
    with pytest.raises(MissingError, match=r"absent\.onnx are not on this machine"):
        load(tmp_path / "absent.onnx")
    with pytest.raises(UsageError, match="cannot be had untrained"):
        backbones.load(model_zoo.get(f"onnx:{path}"), LoadContext(path, untrained=True))


def test_the_extra_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "ssl_bench.backbones.onnx", raising=False)
    with pytest.raises(MissingError, match=r"ssl-bench\[onnx\]"):
        load(tmp_path / "a.onnx")


@pytest.mark.data
@pytest.mark.parametrize(("name", "expected"), [("vit_cifar_ibp", 0.616), ("vit_cifar_pgd", 0.596)])
def test_cifar_vits_know_their_images(real_data: Path, name: str, expected: float) -> None:
    """With their authors' own head the CIFAR ViTs name 61.6 / 59.6 % of re-encoded CIFAR-10's test images."""
    card = model_zoo.get(f"{name},output=output")
    raws, labels = cifar(real_data, "test")
    backbone = backbones.load(card, LoadContext(model_zoo.weights_state(card, [real_data]).path))
    right = float((features(backbone, raws).argmax(1) == labels).mean())
    assert right == pytest.approx(expected, abs=0.001)


@pytest.mark.data
@pytest.mark.parametrize("name", ["vit_cifar_ibp", "vit_cifar_pgd"])
def test_cifar_vits_feature_is_what_their_head_reads(real_data: Path, name: str) -> None:
    """The cards' feature, times the classifier's matrix, gives the file's own logits."""
    card, head = model_zoo.get(name), model_zoo.get(f"{name},output=output")
    path = model_zoo.weights_state(card, [real_data]).path
    assert path is not None
    parts = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in onnx.load(str(path)).graph.initializer}
    seen = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    pooled, logits = (backbones.load(c, LoadContext(path)).forward(seen, "output").pooled for c in (card, head))
    torch.testing.assert_close(pooled @ parts["2.2.weight"].T + parts["2.2.bias"], logits, atol=1e-4, rtol=1e-4)
