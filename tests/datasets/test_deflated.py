"""A deflated member is read at any place as if it were unpacked."""

from __future__ import annotations

import concurrent.futures
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.datasets import deflated, npz
from ssl_bench.datasets.deflated import Deflated
from ssl_bench.errors import DataError

KEYS = {"path": "a.npz", "splits": {"train": {"images": "imgs", "labels": "y"}}, "scale": 255}


def images(count: int = 500) -> np.ndarray:
    """Return images of zeros and ones, some of them noise, which deflates badly."""
    draw = np.random.default_rng(0)
    found = np.zeros((count, 16, 16), dtype=np.uint8)
    found[: count // 2] = draw.integers(0, 2, (count // 2, 16, 16))
    found[count // 2 :, 3, :] = draw.integers(0, 2, (count - count // 2, 1))
    return found


def write(folder: Path, array: np.ndarray) -> Path:
    np.savez_compressed(folder / "a.npz", imgs=array, y=np.arange(len(array)) % 3)
    return folder / "a.npz"


@pytest.mark.parametrize("piece", [100, 4096, 1 << 20])
def test_any_place_reads_as_if_unpacked(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes from anywhere, within a piece and across several, are those of the whole, for threads at once too."""
    monkeypatch.setattr(deflated, "PIECE", piece)
    path = write(tmp_path, images())
    with zipfile.ZipFile(path) as archive:
        whole = archive.read("imgs.npy")
    member = Deflated(path, "imgs.npy")
    draw = np.random.default_rng(0)
    places = [(int(offset), int(draw.integers(1, 900))) for offset in draw.integers(0, len(whole) - 900, 300)]
    places.append((len(whole) - 7, 7))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda place: member.read(*place), places))
    assert found == [whole[offset : offset + size] for offset, size in places]


def test_the_number_of_starts_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However large a member, no more than so many starts are kept."""
    monkeypatch.setattr(deflated, "PIECE", 10)
    monkeypatch.setattr(deflated, "STARTS", 30)
    assert len(Deflated(write(tmp_path, images()), "imgs.npy").starts) <= 32


def test_damage_is_found_when_the_member_is_opened(tmp_path: Path) -> None:
    """A byte changed near the start or the end of the member is found before anything is read."""
    path = write(tmp_path, images())
    whole = path.read_bytes()
    for place in (3000, whole.index(b"y.npy") - 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(zlib.error):
            Deflated(path, "imgs.npy")


def test_a_large_array_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of an array that is too large to hold are read in place and are those of a held one."""
    write(tmp_path, images())
    held = npz.load(KEYS, tmp_path)["train"]
    monkeypatch.setattr(npz, "HELD", 1000)
    placed = npz.load(KEYS, tmp_path)["train"]
    for index in (0, 3, 250, 499):
        assert np.array_equal(placed.read(index), held.read(index))
    assert np.array_equal(placed.read(499), images()[499] * 255)


def test_a_damaged_large_array_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage in an array that is read in place names the file and the array."""
    monkeypatch.setattr(npz, "HELD", 1000)
    path = write(tmp_path, images())
    whole = path.read_bytes()
    path.write_bytes(whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:])
    with pytest.raises(DataError, match=r"cannot read imgs of .*a\.npz"):
        npz.load(KEYS, tmp_path)["train"].read(0)
