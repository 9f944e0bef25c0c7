"""Arrays and TorchScript programs as tensors."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_bench.checkpoints import families, reading
from ssl_bench.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit:DeprecationWarning")
ARRAYS: dict[str, NDArray[np.generic]] = {
    "params/img/cls": np.arange(6, dtype=np.float32).reshape(1, 1, 6),
    "half": np.ones((2, 3), np.float16),
    "step": np.array(7, np.int64),
    "columns": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "swapped": np.arange(3, dtype=">f4"),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.mark.parametrize("packed", [False, True])
def test_arrays_are_tensors(tmp_path: Path, packed: bool) -> None:
    """Every array of a `.npz` file is a tensor of its kind, shape and values, packed or not."""
    (np.savez_compressed if packed else np.savez)(tmp_path / "a.npz", **ARRAYS)
    found = reading.read(tmp_path / "a.npz")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert found[name].shape == array.shape
        assert np.array_equal(found[name].numpy(), array)
        assert found[name].numpy().dtype == array.dtype.newbyteorder("=")


def test_bfloat16_of_jax(tmp_path: Path) -> None:
    """The nameless pairs of bytes that JAX writes for bfloat16 become the numbers that they are."""
    values = torch.tensor([[1.5, -2.0], [1e-8, 3e38]], dtype=torch.bfloat16)
    np.savez(tmp_path / "a.npz", w=values.view(torch.uint16).numpy().view("V2"))
    found = reading.read(tmp_path / "a.npz")["w"]
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, values)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    """An array of Python objects, which is a pickle, is refused."""
    np.savez(tmp_path / "a.npz", w=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UsageError, match=r"w\.npy.*refused"):
        reading.read(tmp_path / "a.npz")


def test_declared_sizes_are_held_against_what_is_there(tmp_path: Path) -> None:
    """An array that declares more values than its file holds is refused before memory is taken for it."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (10**12,)})
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("w.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(UsageError, match=r"w\.npy declares \(1000000000000,\)"):
        reading.read(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["w.npy", "a/data.pkl", "a/constants.pkl"])
def test_zip_bombs_are_refused(tmp_path: Path, name: str) -> None:
    """An archive that would unpack to a thousand times its size is refused unpacked, whatever it seems to be."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open(name, "w") as file:
        for _ in range(300):
            file.write(b"\0" * 2**20)
    with pytest.raises(UsageError, match=r"would unpack from \d+ bytes to 314572800"):
        reading.read(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["npz", "pt"])
def test_damage_inside_an_archive_is_told(tmp_path: Path, kind: str) -> None:
    """A byte that changed in an archive's arrays is noticed."""
    path = tmp_path / f"a.{kind}"
    weight = np.full((500, 500), 7, np.float32)
    if kind == "npz":
        np.savez(path, w=weight)
    else:
        network = nn.Linear(500, 500)
        network.weight.data = torch.from_numpy(weight)
        torch.jit.script(network).save(str(path))
    damaged = path.read_bytes().replace(weight[0].tobytes(), weight[0].tobytes()[:-1] + b"\x01", 1)
    path.write_bytes(damaged)
    with pytest.raises(UsageError, match=r"no whole .*CRC"):
        reading.read(path)


class Inner(nn.Module):
    """A module with a buffer, a buffer that is not kept, and a tensor that is neither."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.register_buffer("scale", torch.rand(2, 2).t())
        self.register_buffer("passing", torch.ones(2), persistent=False)
        self.plain = torch.arange(3)
        self.listed = [torch.ones(1)]
        self.sizes = [1, 2]
        self.head: nn.Linear | None = None

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x) * self.scale.sum() + self.plain.sum() + self.listed[0] + self.passing.sum()


class Outer(nn.Module):
    """Nested modules, tied and transposed parameters, and two modules of one class."""

    def __init__(self, tied: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.ReLU(), Inner(), Inner())
        self.free = nn.Parameter(torch.rand(4, 3).t())
        self.tied = self.free if tied else nn.Parameter(torch.rand(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x).mean() * self.free.sum() + self.tied.sum()


def same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> bool:
    """True for equal names, kinds and values."""
    return ours.keys() == theirs.keys() and all(
        ours[key].dtype == theirs[key].dtype and torch.equal(ours[key], theirs[key]) for key in theirs
    )


@pytest.mark.parametrize(
    ("how", "dtype"),
    [("trace", torch.float32)]
    + [("script", kind) for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float64)],
)
def test_a_torchscript_program_is_read_as_its_state_dict(tmp_path: Path, how: str, dtype: torch.dtype) -> None:
    """What is read is, name by name and bit by bit, what torch gives that runs the archive's own program."""
    network = Outer(tied=how == "script").to(dtype).eval()  # torch traces no shared parameters
    images = torch.rand(1, 3, 4, 4, dtype=dtype)
    program = torch.jit.script(network) if how == "script" else torch.jit.trace(network, images)
    program.save(str(tmp_path / "a.pt"))
    theirs = torch.jit.load(str(tmp_path / "a.pt")).state_dict()
    assert len(theirs) >= 13
    assert same(reading.read(tmp_path / "a.pt"), theirs)


def test_a_frozen_program_has_no_tensors(tmp_path: Path) -> None:
    """A program whose parameters became constants is refused, and the error says so."""
    torch.jit.freeze(torch.jit.script(nn.Linear(2, 2).eval())).save(str(tmp_path / "a.pt"))
    with pytest.raises(UsageError, match="frozen"):
        reading.read(tmp_path / "a.pt")


def test_a_program_is_not_run(tmp_path: Path) -> None:
    """A pickle inside a TorchScript archive that would call a function is refused."""

    class Calls:
        def __reduce__(self) -> object:
            return exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",)

    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/data.pkl", pickle.dumps(Calls(), protocol=2))
    with pytest.raises(UsageError, match=r"exec: refused"):
        reading.read(tmp_path / "a.pt")
    assert not (tmp_path / "ran").exists()


def test_modules_in_a_circle_are_refused(tmp_path: Path) -> None:
    """A module that holds itself does not hang the reader."""
    circle = b"\x80\x02c__torch__\nM\n)\x81q\x00}X\x01\x00\x00\x00ah\x00sb."
    with zipfile.ZipFile(tmp_path / "a.pt", "w") as archive:
        archive.writestr("a/constants.pkl", b"")
        archive.writestr("a/data.pkl", circle)
    with pytest.raises(UsageError, match="no whole TorchScript"):
        reading.read(tmp_path / "a.pt")


class Tower(nn.Module):
    """The names of OpenAI's image tower around the network of the family `clip`."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        for key, value in state.items():
            *folders, name = key.split(".")
            place: nn.Module = self
            for folder in folders:
                if not hasattr(place, folder):
                    place.add_module(folder, nn.Module())
                place = place.get_submodule(folder)
            place.register_parameter(name, nn.Parameter(value))

    def forward(self, x: Tensor) -> Tensor:
        return x


def test_clip_as_openai_ships_it(tmp_path: Path) -> None:
    """A half-precision TorchScript archive with CLIP's names loads as the family `clip`, in float32."""
    from ssl_bench import backbones
    from ssl_bench.backbones.base import LoadContext
    from ssl_bench.model_zoo import ModelCard, Weights

    clip = families.get("clip", "test")
    network = clip.build(depth=2, width=64, heads=1, size=(32, 32), patch=16, outputs=24)
    renames = [("cls_token", "class_embedding"), ("pos_embed", "positional_embedding"), ("patch_embed.proj.", "conv1.")]
    renames += [
        ("norm_pre.", "ln_pre."),
        ("blocks.", "transformer.resblocks."),
        (".norm", ".ln_"),
        (".qkv.", ".in_proj_"),
    ]
    renames += [("attn.proj.", "attn.out_proj."), (".fc1.", ".c_fc."), (".fc2.", ".c_proj.")]
    state = {}
    for key, value in network.state_dict().items():
        for ours, theirs in renames:
            key = key.replace(ours, theirs)
        key = "ln_post" + key.removeprefix("norm") if key.startswith("norm.") else key
        state[f"visual.{key}"] = (
            value.reshape(value.shape[-1:] if "class" in key else value.shape[-2:]) if ("embedding" in key) else value
        )
    state["transformer.resblocks.0.ln_1.weight"] = torch.ones(8)
    program = torch.jit.script(Tower(state).half())
    program.save(str(tmp_path / "ViT.pt"))
    card = ModelCard("clip", "checkpoint", weights=Weights(file=str(tmp_path / "ViT.pt"), family="clip"))
    backbone = backbones.load(card, LoadContext(tmp_path / "ViT.pt"))
    assert backbone.network is not None
    loaded = backbone.network.state_dict()
    assert all(torch.equal(loaded[key], value.half().float()) for key, value in network.state_dict().items())
