"""Sketches: what 52 bytes tell of a feature."""

from __future__ import annotations

import io

import numpy as np
import pytest

from ssl_bench.errors import UsageError
from ssl_bench.submission import sketch

GOLDEN = (-1, -1, 1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1)

GOLDEN = (-1, -1, 1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1)


def features(count: int = 200, dim: int = 384) -> np.ndarray:
    """Return made-up features."""
    return np.random.default_rng(0).standard_normal((count, dim)).astype(np.float32) * 7


def digests(count: int = 200) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 32)).astype(np.uint8)


def test_a_sketch_comes_back_and_numpy_reads_it() -> None:
    """A sketch is an .npy file of 52 bytes an image that np.load reads alike, without pickles."""
    made = sketch.make(features(), digests())
    content = sketch.encode(made)
    found, rows = sketch.decode(content, "here"), np.load(io.BytesIO(content), allow_pickle=False)
    for name, one in (("image", found.images), ("norm", found.norms), ("sketch", found.values)):
        assert (rows[name] == one).all()
    assert len(content) == 192 + 52 * 200
    assert (found.images == digests()[:, :16]).all()


def test_distances_of_sketches_are_those_of_features() -> None:
    """Between unit features, squared distances are kept on average, so that another feature shows."""
    unit = features() / np.linalg.norm(features(), axis=1, keepdims=True)
    values = sketch.project(features())[1].astype(np.float64)
    kept = ((values[:100] - values[100:]) ** 2).sum(1) / ((unit[:100] - unit[100:]) ** 2).sum(1)
    assert kept.mean() == pytest.approx(1, abs=0.1)


def test_noise_of_arithmetic_moves_a_sketch_less_than_another_image_does() -> None:
    """A feature that moved by a thousandth is told from any other image's."""
    moved = features() + 0.001 * np.random.default_rng(2).standard_normal((200, 384))
    first, second = (sketch.project(one)[1].astype(np.float64) for one in (features(), moved))
    near = np.linalg.norm(first - second, axis=1)
    far = np.linalg.norm(first[:, None] - second[None], axis=2)[~np.eye(200, dtype=bool)]
    assert near.max() * 50 < far.min()


def test_signs_never_change() -> None:
    """The projection is the same in every release: that of one unit vector is written here."""
    values = sketch.project(np.eye(4)[:1])[1][0]
    assert values.tolist() == [GOLDEN[i] / 4 for i in range(16)]


def test_a_feature_of_length_zero() -> None:
    """A network that says nothing of an image has a sketch of zeros."""
    norms, values = sketch.project(np.zeros((2, 8)))
    assert not norms.any()
    assert not values.any()


def _with(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def test_what_is_no_sketch_is_refused() -> None:
    """Pickled objects, other types, other counts and numbers that are none are refused, and nothing is executed."""
    content = sketch.encode(sketch.make(features(), digests()))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    plain = io.BytesIO()
    np.save(plain, np.zeros((5, 13), np.float32))
    header = content[:192].replace(b"'|u1', (16,)", b"'|O', (16,) ")
    for wrong in (b"", content[:-1], content + b"\0", pickled.getvalue(), plain.getvalue(), header + content[192:]):
        with pytest.raises(UsageError, match=r"^here: is no sketch"):
            sketch.decode(wrong, "here")
    with pytest.raises(UsageError, match="not finite"):
        sketch.decode(_with(content, 192 + 16, np.float32(np.nan).tobytes()), "here")
