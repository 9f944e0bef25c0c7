"""What simplejpeg decodes equals what Pillow decodes; anything out of the common is left to Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from ssl_bench import images
from ssl_bench.datasets import containers
from ssl_bench.errors import DataError
from ssl_bench.images import InputSpec, jpeg

pytest.importorskip("simplejpeg")

SPEC = InputSpec((64, 64), resize="squash")
GREY = InputSpec((64, 64), resize="squash", channels="grey", mean=(0.5,), std=(0.5,))


def encoded(mode: str = "RGB", form: str = "jpeg", size: tuple[int, int] = (101, 77), **how: object) -> bytes:
    """Return a photograph as a file."""
    file = io.BytesIO()
    Image.fromarray(load_sample_image("china.jpg")).crop((0, 0, *size)).convert(mode).save(file, form, **how)
    return file.getvalue()


def by_pillow(raw: bytes, mode: str = "RGB") -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(raw)).convert(mode))


@pytest.mark.parametrize("sampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(101, 77), (8, 8), (1, 1), (3, 250)])
def test_common_files_equal_pillows(sampling: int, progressive: bool, size: tuple[int, int]) -> None:
    """Every sampling of colour, sequential and progressive, and sizes that fill no block give Pillow's pixels."""
    raw = encoded(size=size, subsampling=sampling, progressive=progressive)
    found = jpeg.decoded(raw, grey=False)
    assert found is not None
    assert np.array_equal(found, by_pillow(raw))


def test_a_grey_file_is_grey() -> None:
    """A grey file for a network of grey images gives Pillow's pixels, one per place."""
    raw = encoded("L")
    assert np.array_equal(jpeg.decoded(raw, grey=True), by_pillow(raw, "L"))


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def deep() -> bytes:
    """Return a PNG file of 16 bits per pixel."""
    file = io.BytesIO()
    levels = np.arange(77 * 101, dtype=np.uint16).reshape(77, 101) * 8
    Image.fromarray(levels).save(file, "png")
    return file.getvalue()


ODD = {
    "CMYK": lambda: encoded("CMYK"),
    "grey": lambda: encoded("L"),
    "RGB kept as RGB": lambda: encoded(keep_rgb=True),
    "turned by EXIF": lambda: encoded(exif=exif(6)),
    "progressive": lambda: encoded(progressive=True),
    "junk behind the end": lambda: encoded() + b"junk",
    "PNG of a palette": lambda: encoded("P", "png"),
    "PNG of 16 bits": deep,
    "PNG with transparency": lambda: encoded("RGBA", "png"),
    "PNG of one bit": lambda: encoded("1", "png"),
    "WebP": lambda: encoded(form="webp", lossless=True),
    "GIF": lambda: encoded("P", "gif"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("spec", [SPEC, GREY], ids=["rgb", "grey"])
def test_odd_files_are_seen_as_pillow_alone_sees_them(
    name: str, spec: InputSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without simplejpeg a network sees the same pixels of every odd file."""
    raw = ODD[name]()
    found = images.pixels(images.coloured(raw, "odd", spec), spec)
    monkeypatch.setattr(jpeg, "agrees", lambda: False)
    assert np.array_equal(found, images.pixels(images.coloured(raw, "odd", spec), spec))


def test_a_file_that_ends_early_is_refused_wherever_it_ends() -> None:
    """No truncated file is decoded in part; Pillow says what is wrong with it."""
    for raw in (encoded(size=(40, 30)), encoded(size=(40, 30), progressive=True)):
        for length in range(0, len(raw) - 2, 7):
            assert jpeg.decoded(raw[:length], grey=False) is None
        with pytest.raises(DataError, match=r"cannot decode the image a/1\.jpg"):
            images.coloured(raw[: len(raw) // 2], "a/1.jpg", SPEC)


def test_damaged_files_never_differ_from_pillows() -> None:
    """A file with bytes changed at random is left to Pillow or gives what Pillow gives."""
    raw, draw, taken = encoded(size=(40, 30)), np.random.default_rng(0), 0
    for _ in range(400):
        damaged = bytearray(raw)
        damaged[draw.integers(len(raw))] = draw.integers(256)
        found = jpeg.decoded(bytes(damaged), grey=False)
        if found is not None:
            assert np.array_equal(found, by_pillow(bytes(damaged)))
            taken += 1
    assert taken


@pytest.mark.data
@pytest.mark.parametrize("name", ["caltech101", "eurosat-rgb", "bccd", "voc100"])
def test_real_photographs_equal_pillows(name: str, real_data: Path) -> None:
    """Real JPEG files, up to 150 of each set, give Pillow's pixels."""
    taken = 0
    for archive in sorted((real_data / name).glob("*.tar*")):
        listing = containers.listing(archive)
        for file in [file for file in listing.spans if file.endswith((".jpg", ".jpeg"))][:150]:
            raw = listing.read(file)
            found = jpeg.decoded(raw, grey=False)
            if found is not None:
                assert np.array_equal(found, by_pillow(raw)), file
                taken += 1
    assert taken >= 50
