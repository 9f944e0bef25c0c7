from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench.datasets import digits, smallnorb
from ssl_bench.errors import DataError, MissingError

OPTIONS = {"path": "norb", "label": "azimuth"}


def matrix(array: np.ndarray) -> bytes:
    """Return an array in the authors' form."""
    magic = 0x1E3D4C55 if array.dtype == np.uint8 else 0x1E3D4C54
    sizes = [*array.shape, *[1] * (3 - array.ndim)]
    return np.array([magic, array.ndim, *sizes], dtype="<u4").tobytes() + array.tobytes()


@pytest.fixture
def pixels(tmp_path: Path) -> np.ndarray:
    """Real digits written as six pairs of views, in the authors' form."""
    split = digits.load({}, Path())["test"]
    pixels = np.stack([split.read(i) for i in range(12)]).reshape(6, 2, 8, 8)
    views = np.array([[4, 0, 0, 0], [4, 8, 2, 0], [4, 1, 34, 0], [4, 2, 16, 0], [4, 3, 4, 5], [4, 4, 6, 5]], "<i4")
    (tmp_path / "norb").mkdir()
    for name in smallnorb.FILES.values():
        (tmp_path / "norb" / name.format(part="dat")).write_bytes(matrix(pixels))
        (tmp_path / "norb" / name.format(part="info")).write_bytes(matrix(views))
    return pixels


def test_views(tmp_path: Path, pixels: np.ndarray) -> None:
    """The image is the first camera's; azimuth counts in steps of two, elevation in steps of one."""
    split = smallnorb.load(OPTIONS, tmp_path)["test"]
    np.testing.assert_array_equal(split.read(4), pixels[4, 0])
    assert split.labels.tolist() == [0, 1, 17, 8, 2, 3]
    split = smallnorb.load(OPTIONS | {"label": "elevation"}, tmp_path)["train"]
    assert split.labels.tolist() == [0, 8, 1, 2, 3, 4]


@pytest.mark.usefixtures("pixels")
def test_damaged(tmp_path: Path) -> None:
    """A file that is cut, of another kind or not there is an error that names it."""
    path = tmp_path / "norb" / smallnorb.FILES["train"].format(part="dat")
    whole = path.read_bytes()
    for data, message in ((whole[:-1], "not as long"), (whole[:6], "no matrix"), (b"\x1f\x8b" + whole, "no matrix")):
        path.write_bytes(data)
        with pytest.raises(DataError, match=rf"training-dat\.mat is {message}"):
            smallnorb.load(OPTIONS, tmp_path)
    path.unlink()
    with pytest.raises(MissingError, match="training-dat"):
        smallnorb.load(OPTIONS, tmp_path)
