"""Reading foreign checkpoint files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ssl_bench.checkpoints import reading
from ssl_bench.errors import MissingError, UsageError

STATE = {"conv.weight": torch.arange(1000.0).reshape(10, 100), "conv.bias": torch.ones(10)}


class Opinion:
    """An object that a safe reader must refuse."""


@pytest.mark.parametrize("legacy", [False, True])
def test_torch_files_new_and_old(tmp_path: Path, legacy: bool) -> None:
    """Both torch's zip format and its format from before 1.6 are read."""
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "a.pth", _use_new_zipfile_serialization=not legacy)
    outer = reading.read(tmp_path / "a.pth")
    assert outer["epoch"] == 3
    assert torch.equal(outer["state_dict"]["conv.weight"], STATE["conv.weight"])


@pytest.mark.parametrize("name", ["a.safetensors", "a.bin"])
def test_safetensors_by_content(tmp_path: Path, name: str) -> None:
    """A safetensors file is known by its content, whatever its name."""
    save_file(STATE, tmp_path / name)
    assert reading.read(tmp_path / name).keys() == STATE.keys()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_truncated_files_are_named(tmp_path: Path, kind: str) -> None:
    """A file cut short is one clear error that names it, in every format."""
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pth")
    if kind == "safetensors":
        save_file(STATE, path)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=kind == "zip")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UsageError, match=r"a\.(pth|safetensors).*truncated"):
        reading.read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"", "empty"),
        (b"\x00\x01nonsense" * 50, "no whole torch or safetensors file"),
    ],
)
def test_files_that_are_no_checkpoints(tmp_path: Path, content: bytes, said: str) -> None:
    """What a failed download leaves behind is told for what it is."""
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        reading.read(tmp_path / "a.pth")


def test_missing_file() -> None:
    """A file that is not there is missing, not misused."""
    with pytest.raises(MissingError, match=r"nowhere\.pth"):
        reading.read(Path("nowhere.pth"))


def test_refused_class_is_named(tmp_path: Path) -> None:
    """A pickled object other than tensors and plain values is refused by its class's name."""
    torch.save({"state_dict": STATE, "opinion": Opinion()}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"Opinion.*refused"):
        reading.read(tmp_path / "a.pth")


def test_code_is_never_run(tmp_path: Path) -> None:
    """A file whose reading would run a command is refused, and the command does not run."""

    class Evil:
        def __reduce__(self) -> object:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"state_dict": Evil()}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match=r"system.*refused"):
        reading.read(tmp_path / "a.pth")
    assert not (tmp_path / "ran").exists()


def test_harmless_training_arguments(tmp_path: Path) -> None:
    """The argument lists and numpy numbers that DINO and MAE keep beside their tensors do not stand in the way."""
    import argparse

    import numpy as np

    torch.save({"model": STATE, "args": argparse.Namespace(arch="vit"), "best": np.float64(0.5)}, tmp_path / "a.pth")
    assert reading.read(tmp_path / "a.pth")["model"].keys() == STATE.keys()


def test_torchscript_is_named(tmp_path: Path) -> None:
    """A TorchScript program is no state dict; the error says how to get one out of it."""
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(UsageError, match="TorchScript"):
        reading.read(tmp_path / "a.pt")


@pytest.mark.data
def test_real_unsafe_checkpoint(real_data: Path) -> None:
    """A real training checkpoint that holds a pickled optimizer is refused, and the optimizer is named."""
    path = real_data / "checkpoints/unsafe_pickle/resnet20_cifar10_checkpoint.pth.tar"
    with pytest.raises(UsageError, match=r"torch\.optim\.sgd\.SGD"):
        reading.read(path)
