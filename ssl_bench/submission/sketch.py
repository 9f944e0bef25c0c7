"""Sketches: every test image's pooled feature f (dim) in 52 bytes, fixed when a bundle is made.

    s = P f / ‖f‖ / √16,     P ∈ {-1, +1}^(16 × dim)

P's signs are the bits of SHAKE-256 over the dimension, so that they never change and nobody chooses them. For unit
vectors ‖s - s'‖² is ‖f/‖f‖ - f'/‖f'‖‖² in expectation (Achlioptas, 2003, Theorem 1.1): who extracts an image again can
tell whether its feature is the one that was handed in, and nobody can get the feature back.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.results.record import Record

WIDTH = 16
IMAGE = 16
"""First bytes of an image's sha256 that name it."""
ROW = np.dtype([("image", "u1", (IMAGE,)), ("norm", "<f4"), ("sketch", "<f2", (WIDTH,))])
_MAGIC = b"\x93NUMPY\x01\x00"


@dataclasses.dataclass(frozen=True, eq=False)
class Sketch:
    """What a bundle fixes of the features of one split, in the split's order."""

    images: NDArray[np.uint8]  # (images, 16)
    norms: NDArray[np.float32]  # (images,)
    values: NDArray[np.float16]  # (images, 16)

    def __len__(self) -> int:
        return len(self.images)


def spec_digest(record: Record) -> str:
    """Return the sha256 over what causes a record's features besides the image: weights, architecture, input."""
    body = record.to_json()
    return digest_json(
        {
            "arch": body["model"]["arch"],
            "features": body["features"]["resolved"],
            "weights": body["model"]["weights_digest"],
        }
    )


def name(record: Record, split: str = "test") -> str:
    """Return the name, within a bundle, of the sketch of a record's task."""
    return f"sketch/{spec_digest(record)[:16]}-{record.task.digest[:16]}-{split}.npy"


def project(features: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Return norms (images,) and sketches (images, 16) of pooled features (images, dim); one of length 0 is all 0."""
    dim = features.shape[1]
    bits = np.frombuffer(hashlib.shake_256(f"ssl-bench.sketch/1 {dim}".encode()).digest(dim * WIDTH // 8), np.uint8)
    signs = 1.0 - 2.0 * np.unpackbits(bits).reshape(dim, WIDTH)
    norms = np.linalg.norm(features.astype(np.float64), axis=1)
    unit = features / np.where(norms > 0, norms, 1.0)[:, None]
    return norms.astype(np.float32), (unit @ signs / np.sqrt(WIDTH)).astype(np.float16)


def make(features: NDArray[np.floating[Any]], digests: NDArray[np.uint8]) -> Sketch:
    """Return the sketch of pooled features (images, dim) of the images with these sha256, uint8 (images, 32)."""
    norms, values = project(features)
    return Sketch(np.ascontiguousarray(digests[:, :IMAGE]), norms, values)


def encode(sketch: Sketch) -> bytes:
    """Return the sketch as an .npy file of `ROW`s: the same sketch, the same bytes."""
    rows = np.empty(len(sketch), ROW)
    rows["image"], rows["norm"], rows["sketch"] = sketch.images, sketch.norms, sketch.values
    return _header(len(sketch)) + rows.tobytes()


def decode(content: bytes, where: str) -> Sketch:
    """Return the sketch in an .npy file; raise UsageError naming `where` for any other than `encode` writes.

    The header is written again and compared, not parsed: an array of pickled objects is never looked at.
    """
    rest = len(content) - len(_header(0))
    count, over = divmod(max(rest, 0), ROW.itemsize)
    if rest < 0 or over or not content.startswith(_header(count)):
        raise UsageError(f"{where}: is no sketch: its header or length is not the one that ssl-bench writes")
    rows = np.frombuffer(content, ROW, offset=len(_header(0)))
    if not np.isfinite(rows["norm"]).all() or not np.isfinite(rows["sketch"]).all():
        raise UsageError(f"{where}: holds numbers that are not finite")
    return Sketch(rows["image"], rows["norm"], rows["sketch"])


def _header(count: int) -> bytes:
    """Return the header of a file of `count` rows, version 1.0 of the format, always 192 bytes."""
    words = repr({"descr": ROW.descr, "fortran_order": False, "shape": (count,)})
    return _MAGIC + (182).to_bytes(2, "little") + words.ljust(181).encode("ascii") + b"\n"
