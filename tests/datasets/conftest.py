"""What the dataset tests share: small real images, and the folder of real datasets where there is one."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench.datasets import digits


@pytest.fixture(scope="session")
def pngs() -> list[bytes]:
    """Forty real digits as PNG files."""
    split = digits.load({}, Path())["train"]
    files = []
    for i in range(40):
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(split.read(i))).save(buffer, "png")
        files.append(buffer.getvalue())
    return files


@pytest.fixture
def folder(tmp_path: Path, pngs: list[bytes]) -> Path:
    """A folder with two splits of three classes, of which the test split lacks one."""
    layout = {"train": {"ant": 3, "bee": 2, "cat": 2}, "test": {"ant": 1, "cat": 2}}
    images = iter(pngs)
    for split, classes in layout.items():
        for name, count in classes.items():
            place = tmp_path / "animals" / split / name
            place.mkdir(parents=True)
            for i in range(count):
                (place / f"{i}.png").write_bytes(next(images))
    return tmp_path / "animals"


def pack(folder: Path, archive: Path, reverse: bool = False, prefix: str = "./") -> Path:
    """Write the files of `folder` into a .tar, .tar.gz or .zip file, in the order of names or its reverse."""
    names = sorted((p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()), reverse=reverse)
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in names:
                packed.write(folder / name, name)
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix in (".gz", ".tgz") else "w") as packed:
            for name in names:
                packed.add(folder / name, prefix + name)
    return archive


@pytest.fixture
def packer() -> Callable[..., Path]:
    """The function that packs a folder into an archive."""
    return pack


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real datasets; tests that need it are skipped where SSL_BENCH_DATA does not name one."""
    name = os.environ.get("SSL_BENCH_DATA")
    if not name:
        pytest.skip("SSL_BENCH_DATA is not set")
    return Path(name)
