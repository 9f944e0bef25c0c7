"""Files that are not what they are said to be: one clear line with the nearest right answer, and exit code 2."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.checkpoints import families
from ssl_bench.errors import UsageError
from tests.cli.conftest import Command, command

__all__ = ["command"]
State = dict[str, Tensor]


def built(name: str, **arch: Any) -> State:
    """Return the tensors of a small network of a family."""
    torch.manual_seed(0)
    return families.get(name, "test").build(**arch).state_dict()


def under(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def vit() -> State:
    return built("dino_vit", depth=1, width=64, heads=1, size=(32, 32))


def loaded(path: Path, family: str, **changed: str) -> Backbone:
    options = "".join(f",{key}={value}" for key, value in changed.items())
    return backbones.load(model_zoo.get(f"ckpt:{path},family={family}{options}"), LoadContext(path))


def bert() -> State:
    """The names of BERT."""
    layer = "bert.encoder.layer.0.attention.self"
    return {"bert.embeddings.word_embeddings.weight": torch.ones(30, 8), f"{layer}.query.weight": torch.ones(8, 8)}


def series() -> State:
    """A forecaster of time series: convolutions over time alone."""
    return {"encoder.0.weight": torch.ones(8, 1, 5), "head.weight": torch.ones(2, 8)}


def detector() -> State:
    """A ResNet within a detector's neck and heads."""
    trunk = under("backbone.", built("moco", depths=(1, 1, 1, 1)))
    return {**trunk, "neck.fpn.weight": torch.ones(1), "rpn_head.conv.weight": torch.ones(1, 1, 1, 1)}


def html(path: Path) -> None:
    path.write_text("<!DOCTYPE html><html>Sign in</html>")


def cut(path: Path) -> None:
    torch.save(vit(), path)
    path.write_bytes(path.read_bytes()[:-500])


def executable(path: Path) -> None:
    class Evil:
        def __reduce__(self) -> object:
            return os.system, ("true",)

    torch.save({"model": vit(), "x": Evil()}, path)


def save(content: Any) -> Callable[[Path], None]:
    return lambda path: torch.save(content() if callable(content) else content, path)


BAD: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "wrong family": (save(vit), "cifar_resnet", r"cannot be built.*fit the families .*dino_vit"),
    "unknown family": (save(vit), "dinovit", r"no checkpoint family is called 'dinovit'\. Did you mean dino_vit"),
    "no family": (save(vit), "", r"no checkpoint family is named.*is one of:"),
    "other depth": (save(vit), "dino_vit,depth=2", r"does not fit ViT: keys 12 missing \(blocks\.1\."),
    "other width": (save(vit), "dino_vit,width=128,heads=2", r"of another shape.*is \(1, 1, 64\), the network has"),
    "impossible arch": (save(vit), "dino_vit,heads=7", r"cannot be built with.*heads"),
    "unknown arch": (save(vit), "dino_vit,headz=1", r"cannot be built with.*headz"),
    "truncated": (cut, "dino_vit", r"truncated.*download it again"),
    "web page": (html, "dino_vit", r"web page.*download the file itself"),
    "code": (executable, "dino_vit", r"posix\.system.*refused"),
    "text": (save(bert), "dino_vit", r"text model \(bert\.embeddings\.word_embeddings\.weight\)"),
    "time series": (save(series), "dino_vit", r"no tensor has the four axes.*text, sound, tables or time"),
    "detector": (save(detector), "moco", r"fit the families .*vicreg"),
    "average besides": (lambda p: torch.save({"state_dict": vit(), "ema": vit()}, p), "dino_vit", r"state_dict, ema"),
    "lightning": (lambda p: torch.save(under("model.", vit()), p), "dino_vit", r"weights\.prefix = 'model\.'"),
    "wrong prefix": (save(vit), "dino_vit,prefix=x.", r"no name begins with 'x\.'\. Names begin with: blocks, cls_"),
    "no tensors": (save({"epoch": 3}), "dino_vit", r"no state dict, only epoch"),
    "no such branch": (
        save({"model": {}}),
        "dino_vit,container=teacher",
        r"no branch 'teacher'\. The file holds: model",
    ),
    "twice": (lambda p: torch.save(vit() | under("module.", vit()), p), "dino_vit", r"twice, once as module\."),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_one_clear_line(command: Command, tmp_path: Path, kind: str) -> None:
    """A file that cannot be used ends the run with exit code 2 and one line that says what it is and what to do."""
    write, family, said = BAD[kind]
    write(tmp_path / "weights.pth")
    ended = command("run", "-m", f"ckpt:{tmp_path / 'weights.pth'},family={family}", "-t", "digits", "-p", "knn")
    assert ended.code == 2, ended.err
    (line,) = [line for line in ended.err.splitlines() if line.startswith(("error: ", "failed: "))]
    assert re.search(said, line), line


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(tmp_path: Path, dtype: torch.dtype) -> None:
    """Weights of half precision are read as they are and computed in float32."""
    halves = {key: value.to(dtype) for key, value in vit().items()}
    torch.save(halves, tmp_path / "half.pth")
    torch.save({key: value.float() for key, value in halves.items()}, tmp_path / "whole.pth")
    half, whole = (loaded(tmp_path / f"{name}.pth", "dino_vit,heads=1") for name in ("half", "whole"))
    assert half.weights_digest() == whole.weights_digest()
    assert half.forward(torch.rand(1, 3, 32, 32), "cls").pooled.dtype == torch.float32


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "module._orig_mod.", "backbone.module.", "module.backbone."]
)
def test_wrappers_are_seen_through(tmp_path: Path, prefix: str) -> None:
    """Parts of names that parallel or compiled training adds are taken off, wherever they stand."""
    wrapped = {
        key.replace("blocks.0.", "blocks.0._checkpoint_wrapped_module."): value
        for key, value in under(prefix, vit()).items()
    }
    torch.save({"teacher": wrapped}, tmp_path / "a.pth")
    network = loaded(tmp_path / "a.pth", "dino_vit").network
    assert network is not None
    assert all(torch.equal(network.state_dict()[key], value) for key, value in vit().items())


def test_a_prefix_of_ones_own_is_named(tmp_path: Path) -> None:
    """What stands before the authors' names, in a training code of one's own, is taken off by `weights.prefix`."""
    torch.save({"state_dict": under("model.", vit()) | {"loss.w": torch.ones(1)}}, tmp_path / "a.ckpt")
    backbone = loaded(tmp_path / "a.ckpt", "dino_vit", prefix="model.")
    assert backbone.taken.left == {"loss": 1}  # type: ignore[attr-defined]
    assert backbone.taken.prefixes == ("model.",)  # type: ignore[attr-defined]


def test_names_of_jax_are_counted_by_their_tower() -> None:
    """Names with slashes begin with their first two parts."""
    assert families.beginnings(["params/img/a/b", "params/txt/a", "params/txt/b", "head.w", "t"]) == {
        "head": 1, "params/img": 1, "params/txt": 2, "t": 1,
    }  # fmt: skip


def test_what_is_taken_and_left_is_told(tmp_path: Path) -> None:
    """Of a file it is known which branch was taken, which others there are, which prefixes went and what was left."""
    teacher = {**under("module.backbone.", vit()), "module.head.mlp.0.weight": torch.ones(1), "head.x": torch.ones(1)}
    torch.save({"student": vit(), "teacher": teacher, "model_ema": vit()}, tmp_path / "a.pth")
    taken = loaded(tmp_path / "a.pth", "dino_vit").taken  # type: ignore[attr-defined]
    assert (taken.container, taken.others, taken.prefixes) == ("teacher", ("model_ema",), ("backbone.",))
    assert taken.left == {"head": 2}
    assert taken.tensors.keys() == vit().keys()


@pytest.mark.data
def test_a_real_detector_is_told(real_data: Path) -> None:
    """A detector's file given as a ResNet is answered with the family of the trunk in it."""
    path = real_data / "checkpoints/shufflenetv2_05/fastestdet_coco_AP05_0.253207.pth"
    with pytest.raises(UsageError, match=r"does not fit.*weights\.family = 'shufflenetv2'"):
        loaded(path, "swav")


@pytest.mark.data
def test_a_real_file_of_no_family(real_data: Path) -> None:
    """A real file that no family reads is said to fit none."""
    with pytest.raises(UsageError, match=r"does not fit.*No family fits it"):
        loaded(real_data / "checkpoints/conv_autoencoder/autoencoder.pkl", "dino_vit")
