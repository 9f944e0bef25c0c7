"""Compiled resizing gives Pillow's pixels, all of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ssl_bench.images import resampling

pytest.importorskip("numba")


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    assert resampling.prepare()


@pytest.mark.parametrize("interpolation", resampling.FILTERS)
def test_any_part_of_any_resize_equals_pillows(interpolation: str) -> None:
    """Grey and coloured noise and black and white, shrunk and stretched from and to odd sizes, equal Pillow's."""
    draw = np.random.default_rng(0)
    compared = 0
    for _ in range(150):
        most = int(draw.choice([12, 60, 300]))
        height, width, rows, columns = draw.integers(1, most, 4).tolist()
        image = draw.integers(0, 256, (height, width, 3)[: draw.integers(2, 4)], dtype=np.uint8)
        image = np.where(image > 127, 255, 0).astype(np.uint8) if draw.random() < 0.5 else image
        if not resampling.takes((height, width), (rows, columns), interpolation):
            continue
        whole = Image.fromarray(image).resize((columns, rows), getattr(Image.Resampling, interpolation.upper()))
        expected = np.asarray(whole)[None] if image.ndim == 2 else np.asarray(whole).transpose(2, 0, 1)
        top, left = int(draw.integers(rows)), int(draw.integers(columns))
        part = top, left, int(draw.integers(1, rows - top + 1)), int(draw.integers(1, columns - left + 1))
        found = resampling.resize(image, (rows, columns), interpolation, part)
        assert np.array_equal(found, expected[:, top : top + part[2], left : left + part[3]])
        compared += 1
    assert compared > 80


def test_what_pillow_does_in_another_order_is_left_to_it() -> None:
    """A height that shrinks by more than twice what the width does, and `nearest`, are not taken."""
    assert resampling.takes((375, 500), (224, 298), "bicubic")
    assert not resampling.takes((500, 300), (224, 224), "bicubic")
    assert not resampling.takes((375, 500), (224, 298), "nearest")


def test_another_pillow_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the installed Pillow gives other pixels, as Pillow-SIMD does, the compiled code steps back."""
    own = Image.Image.resize

    def other(image: Image.Image, *given: object) -> Image.Image:
        return own(image, *given).point(lambda level: level ^ 1)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", other)
    assert not resampling._agrees.__wrapped__()
