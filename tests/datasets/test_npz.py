from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.datasets import digits, npz
from ssl_bench.errors import DataError, MissingError, UsageError

OPTIONS = {"path": "a.npz", "splits": {"train": {"images": "x", "labels": "y"}}}


def save(folder: Path, **arrays: Any) -> None:
    np.savez_compressed(folder / "a.npz", **arrays)


@pytest.fixture
def pixels() -> np.ndarray:
    split = digits.load({}, Path())["test"]
    return np.stack([split.read(i) for i in range(6)])


@pytest.mark.parametrize("shape", [(6,), (6, 1)])
def test_arrays(tmp_path: Path, pixels: np.ndarray, shape: tuple[int, ...]) -> None:
    """Images and labels come from the named arrays; labels (images, 1) are flattened."""
    save(tmp_path, x=pixels, y=np.arange(6, dtype=np.uint8).reshape(shape))
    split = npz.load(OPTIONS, tmp_path)["train"]
    assert split.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert split.ids[-1] == "5"
    np.testing.assert_array_equal(split.read(4), pixels[4])


def test_grey_channel(tmp_path: Path, pixels: np.ndarray) -> None:
    """A single channel is dropped, also of an image one pixel wide; three are kept."""
    save(tmp_path, x=pixels[:, :, :1, None], y=np.arange(6))
    assert npz.load(OPTIONS, tmp_path)["train"].read(0).shape == (8, 1)
    save(tmp_path, x=np.stack([pixels] * 3, axis=3), y=np.arange(6))
    assert npz.load(OPTIONS, tmp_path)["train"].read(0).shape == (8, 8, 3)


def test_pickle_is_small(tmp_path: Path, pixels: np.ndarray) -> None:
    """The images do not travel to other processes: each reads them from the file."""
    save(tmp_path, x=np.repeat(pixels, 1000, axis=0), y=np.arange(6000))
    source = npz.load(OPTIONS, tmp_path)["train"].source
    source.read(0)
    text = pickle.dumps(source)
    assert len(text) < 1000
    np.testing.assert_array_equal(pickle.loads(text).read(5999), pixels[5])  # noqa: S301 - what multiprocessing does


def test_bins_and_scale(tmp_path: Path, pixels: np.ndarray) -> None:
    """A column of latent values is joined into classes as VTAB does for dSprites, and ones become 255."""
    latents = np.stack([np.zeros(40, int), np.arange(40)], axis=1)
    save(tmp_path, x=np.repeat(pixels[:1] > 100, 40, axis=0).astype(np.uint8), y=latents)
    split = npz.load(OPTIONS | {"column": 1, "bins": 16, "values": 40, "scale": 255}, tmp_path)["train"]
    assert split.labels.tolist() == [int(i / 2.5) for i in range(40)]
    assert set(np.unique(split.read(0)).tolist()) == {0, 255}


def test_several_labels(tmp_path: Path, pixels: np.ndarray) -> None:
    """A row of labels may say of every class whether it holds, as MedMNIST's ChestMNIST does."""
    held = np.eye(6, 14, dtype=np.uint8)
    save(tmp_path, x=pixels, y=held)
    assert npz.load(OPTIONS | {"several": True}, tmp_path)["train"].labels.tolist() == held.tolist()
    save(tmp_path, x=pixels, y=held * 3)
    with pytest.raises(DataError, match=r"a\.npz: y: row 0 has 3 in column 0, which is not 1, 0 or -1"):
        npz.load(OPTIONS | {"several": True}, tmp_path)
    save(tmp_path, x=pixels, y=held[:, 0])
    with pytest.raises(DataError, match=r"y: labels must be whole numbers, a column per class"):
        npz.load(OPTIONS | {"several": True}, tmp_path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 8, 8)), "y": np.arange(2)}, "must be uint8"),
        ({"x": np.zeros((2, 8, 8, 4), np.uint8), "y": np.arange(2)}, "must be uint8"),
        ({"x": np.zeros((2, 8, 8), np.uint8), "y": np.arange(3)}, "2 images, but y 3 labels"),
        ({"x": np.zeros((2, 8, 8), np.uint8), "y": np.eye(2)}, "labels must be whole numbers"),
        ({"x": np.zeros((2, 8, 8), np.uint8), "y": np.array([{}, {}])}, "cannot read y"),
    ],
)
def test_wrong_arrays(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    """Arrays of another type or length, and pickled objects, are refused."""
    save(tmp_path, **arrays)
    with pytest.raises(DataError, match=message):
        npz.load(OPTIONS, tmp_path)


def test_wrong_key(tmp_path: Path, pixels: np.ndarray) -> None:
    """An unknown array gets a suggestion."""
    save(tmp_path, x_train=pixels, y=np.arange(6))
    options = {"path": "a.npz", "splits": {"train": {"images": "x_trian", "labels": "y"}}}
    with pytest.raises(UsageError, match=r"no array 'x_trian'\. Did you mean x_train"):
        npz.load(options, tmp_path)


def test_damaged(tmp_path: Path, pixels: np.ndarray) -> None:
    """A file that ends early is an error that names it; one that is not there is missing."""
    with pytest.raises(MissingError, match=r"there is no file .*a\.npz"):
        npz.locate(OPTIONS, tmp_path)
    save(tmp_path, x=pixels, y=np.arange(6))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:200])
    with pytest.raises(DataError, match=r"cannot read x of .*a\.npz"):
        npz.load(OPTIONS, tmp_path)
