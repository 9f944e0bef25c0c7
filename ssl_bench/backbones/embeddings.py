"""Features computed elsewhere, by an encoder of any kind: `weights.file` is a table of image digests and vectors.

The file is NPZ, safetensors or Parquet and holds, by these names (arrays, tensors or columns),

- `digest`: the sha256 of each image as its dataset keeps it, uint8 (images, 32) or 64 hexadecimal digits: of an encoded
  image the digest of its file (`sha256sum`), of raw pixels `ssl_bench.datasets.base.digest_image`;
- `features`: (images, dim), floats.

A row belongs to an image, not to a place in a split: names and row numbers repeat between splits and tasks, and a table
in another order would still load. One file may serve any number of tasks, and rows that no task asks for do no harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.backbones.base import Backbone, Features, LoadContext, choose_pooling, missing_weights
from ssl_bench.errors import UsageError
from ssl_bench.images import InputSpec
from ssl_bench.model_zoo import ModelCard

FORMATS = (".npz", ".safetensors", ".parquet")


def load(card: ModelCard, context: LoadContext) -> Backbone:
    """Return the table; raise UsageError for one that is not whole, not finite, or names an image twice."""
    if context.untrained:
        raise UsageError(f"{card.name}: precomputed features cannot be had untrained")
    if context.weights_path is None:
        raise missing_weights(card, card.weights.url or "a local file; put it into the weights folder")
    where = f"{card.name}: {context.weights_path}"
    return EmbeddingsBackbone(card, *read(context.weights_path, where), where)


class EmbeddingsBackbone(Backbone):
    """A table of features by image; no image is looked at."""

    poolings = ("embedding",)
    recalls = True
    library = f"numpy {np.__version__}"

    def __init__(self, card: ModelCard, digests: NDArray[np.bytes_], features: NDArray[np.float32], where: str) -> None:
        order = np.argsort(digests)
        self._digests, self._features, self._where = digests[order], features[order], where
        self.input = InputSpec(size=(1, 1), resize="squash")
        self.default_pooling = choose_pooling(card, self.poolings, "embedding")

    def recall(self, digests: NDArray[np.uint8]) -> Features:
        """Return the rows of the images; raise UsageError that counts those without one."""
        wanted = _as_names(digests)
        place = np.minimum(np.searchsorted(self._digests, wanted), len(self._digests) - 1)
        absent = np.flatnonzero(self._digests[place] != wanted)
        if len(absent):
            raise UsageError(
                f"{self._where} has no row for {len(absent)} of {len(wanted)} images, such as the one with the sha256 "
                f"{digests[absent[0]].tobytes().hex()}"
            )
        return Features(torch.from_numpy(self._features[place]))

    def forward(self, images: Tensor, pooling: str) -> Features:
        """Raise UsageError: pixels alone do not say which image they are of."""
        raise UsageError(f"{self._where} holds features of whole images; no other input can be given to it")

    def weights_digest(self) -> str:
        """Return the sha256 (hex) over the table, sorted by image."""
        total = hashlib.sha256(f"{self._features.shape}\0".encode())
        total.update(self._digests.tobytes())
        total.update(np.ascontiguousarray(self._features, dtype="<f4").tobytes())
        return total.hexdigest()

    def arch(self) -> dict[str, Any]:
        """Return that this is a table."""
        return {"class": "Embeddings"}


def read(path: Path, where: str) -> tuple[NDArray[np.bytes_], NDArray[np.float32]]:
    """Return a file's image names (images,) and features (images, dim); nothing in it is unpickled."""
    readers = {".npz": _read_npz, ".safetensors": _read_safetensors, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise UsageError(f"{where} is none of {', '.join(FORMATS)}")
    try:
        columns = readers[path.suffix](path)
        digests, features = _digests(columns["digest"]), np.asarray(columns["features"])
    except KeyError as error:
        raise UsageError(f"{where} has no {error.args[0]!r}; it must hold digest and features") from error
    except Exception as error:  # each format's library has errors of its own
        raise UsageError(f"{where} cannot be read: {str(error).splitlines()[0]}") from error
    if features.ndim != 2 or features.dtype.kind != "f" or not len(features) or len(features) != len(digests):
        raise UsageError(
            f"{where}: features are {features.dtype} {features.shape} for {len(digests)} digests; "
            "they must be floats (images, dim)"
        )
    features = features.astype(np.float32)
    if not np.isfinite(features).all():
        raise UsageError(f"{where} holds values that are infinite or no numbers")
    names = _as_names(digests)
    if len(np.unique(names)) < len(names):
        raise UsageError(f"{where} names {len(names) - len(np.unique(names))} images twice")
    return names, features


def _read_npz(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors.numpy import load_file

    return dict(load_file(path))


def _read_parquet(path: Path) -> Mapping[str, Any]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    columns: dict[str, Any] = {name: table[name].to_pylist() for name in table.column_names if name == "digest"}
    if "features" in table.column_names:
        columns["features"] = np.array(table["features"].to_pylist(), dtype=np.float32)
    return columns


def _digests(column: Any) -> NDArray[np.uint8]:
    """Return digests (images, 32) from bytes or hexadecimal text."""
    array = np.asarray(column)
    if array.dtype == np.uint8 and array.ndim == 2 and array.shape[1] == 32:
        return array
    rows = [value if isinstance(value, bytes) and len(value) == 32 else bytes.fromhex(str(value)) for value in column]
    if any(len(row) != 32 for row in rows):
        raise ValueError("a digest is not the sha256 of an image: 32 bytes, or 64 hexadecimal digits")
    return np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(-1, 32)


def _as_names(digests: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return the first 16 bytes of each digest as one comparable value, as the feature cache does."""
    return np.ascontiguousarray(digests[:, :16]).view("S16").reshape(-1)
