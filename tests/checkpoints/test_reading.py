"""Reading foreign checkpoint files."""

from __future__ import annotations

import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ssl_bench.checkpoints import keys, reading
from ssl_bench.errors import MissingError, UsageError

STATE = {"conv.weight": torch.arange(1000.0).reshape(10, 100), "conv.bias": torch.ones(10)}


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
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"\x00\x01nonsense" * 50, "no whole torch, safetensors or npz file"),
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


def test_a_mapped_file_reads_only_what_is_used(tmp_path: Path) -> None:
    """Of a large file only the tensors that are used come into memory: not those of its optimizer."""
    torch.save({"model": STATE, "optimizer": {"state": torch.ones(25_000_000)}}, tmp_path / "a.pth")
    code = (
        "import re, sys; from pathlib import Path; import torch; from ssl_bench.checkpoints import keys, reading\n"
        "peak = lambda: int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
        "reading.read(Path(sys.argv[1]).with_name('b.pth')); before = peak()\n"
        "total = reading.read(Path(sys.argv[1]))['model']['conv.weight'].sum(); print(total.item(), peak() - before)"
    )
    torch.save({"model": STATE}, tmp_path / "b.pth")
    if not Path("/proc/self/status").is_file():
        pytest.skip("the kernel tells no peak memory here")
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "a.pth"], capture_output=True, text=True, check=True)
    total, kilobytes = map(float, done.stdout.split())
    assert total == STATE["conv.weight"].sum()
    assert kilobytes < 20_000


def test_cuda_tensors_come_to_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors that were saved from a GPU are read where there is none."""
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:3")
    torch.save(STATE, tmp_path / "a.pth")
    assert b"cuda:3" in (tmp_path / "a.pth").read_bytes()
    assert reading.read(tmp_path / "a.pth")["conv.weight"].device.type == "cpu"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_half_precision_is_kept(tmp_path: Path, dtype: torch.dtype, name: str) -> None:
    """Tensors are read in the precision that they were saved in; the network's own is float32."""
    state = {key: value.to(dtype) for key, value in STATE.items()}
    save_file(state, tmp_path / name) if name.endswith("safetensors") else torch.save(state, tmp_path / name)
    assert reading.read(tmp_path / name)["conv.bias"].dtype == dtype


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_pickle_that_torch_did_not_write_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int
) -> None:
    """A dictionary of pickle.dump, such as detectron2's, is refused for what it is, with the command that mends it."""
    content = {"model": {"stem.conv1.weight": np.ones(2, dtype=np.float32)}, "__author__": "MoCo"}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(UsageError, match=rf"Python pickle \(protocol {protocol}\).*detectron2.*refused") as refused:
        reading.read(tmp_path / "a.pkl")
    monkeypatch.chdir(tmp_path)
    mend = str(refused.value).partition('python -c "')[2].removesuffix('"')
    subprocess.run([sys.executable, "-c", mend], check=True)
    assert reading.read(tmp_path / "new.pth")["stem.conv1.weight"].tolist() == [1.0, 1.0]


HEADERS = {
    "longer than the file": b"\xff\xff\xff\xff\x00\x00\x00\x00{}",
    "not JSON": (8).to_bytes(8, "little") + b"{nonsens",
    "outside the file": b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}',
    "too few bytes": b'{"a":{"dtype":"F32","shape":[400],"data_offsets":[0,8]}}',
    "overlapping": b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},'
    b'"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
}


@pytest.mark.parametrize("kind", HEADERS)
def test_headers_of_safetensors_are_held_against_the_file(tmp_path: Path, kind: str) -> None:
    """A safetensors file whose header is not that of its bytes is refused."""
    header = HEADERS[kind]
    prefix = len(header).to_bytes(8, "little") if header.startswith(b"{") else b""
    (tmp_path / "a.safetensors").write_bytes(prefix + header + b"\0" * 8)
    with pytest.raises(UsageError, match="no whole safetensors file"):
        reading.read(tmp_path / "a.safetensors")


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors", "npz", "torchscript"])
def test_damage_never_ends_in_a_traceback(tmp_path: Path, kind: str) -> None:
    """Whatever bytes are changed or cut off, a file is read or refused in one line."""
    whole, path = tmp_path / "whole", tmp_path / "damaged"
    if kind == "safetensors":
        save_file(STATE, whole)
    elif kind == "npz":
        with whole.open("wb") as file:
            np.savez(file, **{name: value.numpy() for name, value in STATE.items()})
    elif kind == "torchscript":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch calls its scripts old
            torch.jit.script(torch.nn.Linear(2, 2)).save(str(whole))
    else:
        torch.save({"model": STATE, "args": [1, "a"]}, whole, _use_new_zipfile_serialization=kind == "zip")
    random, refused = np.random.default_rng(0), 0
    for _ in range(60):
        content = np.frombuffer(whole.read_bytes(), np.uint8).copy()
        content[random.integers(min(len(content), 1000), size=3)] = random.integers(256, size=3)
        path.write_bytes(content[: random.integers(len(content)) if random.random() < 0.2 else None].tobytes())
        try:
            reading.read(path)
        except UsageError as error:
            refused += str(path) in str(error)
    assert refused > 10


@pytest.mark.parametrize(
    ("outer", "container"),
    [
        ({"state_dict": STATE, "pytorch-lightning_version": "2.1", "callbacks": {}, "epoch": 1}, "state_dict"),
        ({"module": STATE, "ds_version": "0.9", "param_shapes": [{"conv.weight": torch.Size([10, 100])}]}, "module"),
        ({"model": STATE, "optim": {"state": {0: torch.ones(1)}}}, "model"),
    ],
    ids=["lightning", "deepspeed", "fsdp"],
)
def test_files_of_training_frameworks(tmp_path: Path, outer: dict[str, object], container: str) -> None:
    """The state dict in a file of Lightning, of DeepSpeed, or put together from FSDP's shards is found by itself."""
    torch.save(outer, tmp_path / "a.ckpt")
    read = reading.read(tmp_path / "a.ckpt")
    assert keys.name_branch(read, "a") == container
    assert keys.choose_branch(read, "a").keys() == STATE.keys()


@pytest.mark.data
def test_real_unsafe_checkpoint(real_data: Path) -> None:
    """A real training checkpoint that holds a pickled optimizer is refused, and the optimizer is named."""
    path = real_data / "checkpoints/unsafe_pickle/resnet20_cifar10_checkpoint.pth.tar"
    with pytest.raises(UsageError, match=r"torch\.optim\.sgd\.SGD"):
        reading.read(path)
