"""Per-sample predictions: one Parquet file per set of predictions, named by the sha256 of its bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ssl_bench.errors import MissingError, UsageError, missing_package
from ssl_bench.files import create_file
from ssl_bench.results.record import Samples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = ("sample_id", "target", "pred", "top5", "confidence")


@dataclasses.dataclass(frozen=True, eq=False)
class SampleTable:
    """What was predicted for every test sample, in the split's order."""

    ids: tuple[str, ...]
    targets: NDArray[np.int64]  # (samples,)
    ranked: NDArray[np.int64]  # (samples, up to 5): classes, best first
    confidence: NDArray[np.float32]  # (samples,): score of the first class, in the protocol's own unit

    @property
    def pred(self) -> NDArray[np.int64]:
        """The first class of each sample, (samples,)."""
        return self.ranked[:, 0]


def sample_path(root: Path, sha256: str) -> Path:
    """Return where the predictions with this digest lie under a results root."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise UsageError(f"samples.sha256 is {sha256[:80]!r}, which is no sha256")
    return root / "samples" / sha256[:2] / f"{sha256}.parquet"


def write(root: Path, ids: Sequence[str], targets: object, ranked: object, confidence: object) -> Samples:
    """Write predictions under `root` and return what a record keeps of them; writing the same twice writes once.

    `ids` and `targets` (samples,), `ranked` (samples, up to 5) classes best first, `confidence` (samples,).
    Raises ValueError where the lengths differ, MissingError where the folder cannot be written.
    """
    import numpy as np

    table = SampleTable(
        tuple(map(str, ids)),
        np.asarray(targets, dtype=np.int64),
        np.asarray(ranked, dtype=np.int64)[:, :5],
        np.asarray(confidence, dtype=np.float32),
    )
    if not len(table.ids) == len(table.targets) == len(table.ranked) == len(table.confidence):
        lengths = [len(table.ids), len(table.targets), len(table.ranked), len(table.confidence)]
        raise ValueError(f"ids, targets, ranked and confidence have lengths {lengths}")
    content = _encode(table)
    sha256 = hashlib.sha256(content).hexdigest()
    create_file(sample_path(root, sha256), content)
    return Samples(sha256, len(table.ids), COLUMNS)


def _encode(table: SampleTable) -> bytes:
    """Return the table as Parquet: equal tables give equal bytes under one version of pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "writing per-sample predictions") from None
    ranked = arrow.FixedSizeListArray.from_arrays(
        arrow.array(table.ranked.ravel(), arrow.int32()), int(table.ranked.shape[1])
    )
    columns = [
        arrow.array(table.ids, arrow.string()),
        arrow.array(table.targets, arrow.int32()),
        arrow.array(table.pred, arrow.int32()),
        ranked,
        arrow.array(table.confidence, arrow.float32()),
    ]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns, names=list(COLUMNS)), buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def read(root: Path, samples: Samples) -> SampleTable:
    """Return the predictions that a record names.

    Raises MissingError where they are not under `root`, UsageError where the file is not what the record names.
    """
    path = sample_path(root, samples.sha256)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise MissingError(
            f"the per-sample predictions are not at {path}; packed records travel without them: "
            "copy the folder `samples` or run the job again"
        ) from None
    except OSError as error:
        raise MissingError(f"cannot read {path}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != samples.sha256:
        raise UsageError(f"{path}: the content does not match the file's name; it was edited or damaged")
    return _decode(content)


def _decode(content: bytes) -> SampleTable:
    import numpy as np

    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "reading per-sample predictions") from None
    table = parquet.read_table(arrow.BufferReader(content))
    ranked = table["top5"].combine_chunks()
    flat = ranked.flatten().to_numpy().astype(np.int64)
    return SampleTable(
        tuple(table["sample_id"].to_pylist()),
        table["target"].to_numpy().astype(np.int64),
        flat.reshape(len(ranked), ranked.type.list_size),
        table["confidence"].to_numpy().astype(np.float32),
    )
