"""Per-sample predictions: one Parquet file per set of predictions, named by the sha256 of its bytes.

The columns tell the kind of predictions. `sample_id` is the test sample, `target` its label, and beside them stand

    classes      pred, top5 (classes, best first), confidence (of the first class, in the protocol's own unit),
                 and scores (of every class) where a metric needs them
    multilabel   scores (of every class); the target says of every class 1, 0, or -1 for neither
    shifts       set ("test" or a shifted one), and the columns of classes; where a set has samples of several right
                 labels, target is a list of them, filled up with -1
    clusters     cluster
    rankings     hits: the places, from 0, of the images of the query's class among all that were ranked; or hits_easy,
                 hits_hard and junk, where people judged the gallery
    episodes     episode, pred; the target is the way within the episode
    detections   of every image, lists of its found and true objects, class by class: label, score, box (left, top,
                 right, bottom), and what came of comparing them, in several ways; see `predictions.objects.Compared`
    segmentation for every class the pixels of an image that are of it (true_pixels), are said to be (said_pixels) and
                 both (shared_pixels), and the same of edges (true_edge_pixels, …); there is no target beside them
    landmarks    of every landmark that was sought: partner (the sample in which), group, first and second (positions of
                 sample_id and partner in test), landmark, and landmark_error and least_error, as shares of an object
    tracks       object, frames (how many count), region and contour: the means of J and F over them; sample_id is the
                 video
    discoveries  objects (how many the image shows) and best_overlap (of the one box with any of them)
    distances    pixels (of how many the truth is known), abs_rel, sq_rel, rmse, … of the image, and no target
    directions   pixels, angle_mean, angle_median, … of the image, and no target
    quantities   what the values were computed from
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from typing import Any

from ssl_bench.errors import MissingError, UsageError, missing_package
from ssl_bench.results.record import Samples
from ssl_bench.results.roots import SAMPLES, Root

Table = Mapping[str, Any]
"""Column name to values: strings and lists of varying length as a list, numbers as an array (rows,) or (rows, k)."""


def sample_name(sha256: str) -> str:
    """Return where the predictions with this digest lie under a results root."""
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise UsageError(f"samples.sha256 is {sha256[:80]!r}, which is no sha256")
    return f"{SAMPLES}/{sha256[:2]}/{sha256}.parquet"


def sha256_of(name: str) -> str:
    """Return the digest in a name that `sample_name` made."""
    return name.rpartition("/")[2].removesuffix(".parquet")


def write(root: Root, table: Table) -> Samples:
    """Write predictions under `root` and return what a record keeps of them; writing the same twice writes once.

    Raises ValueError where columns differ in length, MissingError where the folder cannot be written.
    """
    lengths = {name: len(values) for name, values in table.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns of the predictions have lengths {lengths}")
    content = encode(table)
    sha256 = hashlib.sha256(content).hexdigest()
    root.create(sample_name(sha256), content)
    return Samples(sha256, next(iter(lengths.values()), 0), tuple(table))


def encode(table: Table) -> bytes:
    """Return the table as Parquet: equal tables give equal bytes under one version of pyarrow."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "writing per-sample predictions") from None
    columns = [_column(arrow, values) for values in table.values()]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns, names=list(table)), buffer, compression="zstd", compression_level=9)
    return buffer.getvalue()


def _column(arrow: Any, values: Any) -> Any:
    """Return a column: text, whole numbers in 32 bits, fractions as they are, and lists of either."""
    import numpy as np

    if not isinstance(values, np.ndarray):
        if not values or isinstance(values[0], str):
            return arrow.array(values, arrow.string())
        first = next((row for row in values if len(row)), values[0])
        fractions = np.issubdtype(np.asarray(first).dtype, np.floating) and (
            len(first) or isinstance(first, np.ndarray)
        )
        return arrow.array(values, arrow.list_(arrow.float32() if fractions else arrow.int32()))
    whole = np.issubdtype(values.dtype, np.integer)
    kind = arrow.int32() if whole else arrow.from_numpy_dtype(values.dtype)
    if values.ndim == 1:
        return arrow.array(values, kind)
    return arrow.FixedSizeListArray.from_arrays(arrow.array(values.ravel(), kind), int(values.shape[1]))


def read(root: Root, samples: Samples) -> Table:
    """Return the predictions that a record names; whole numbers come back in 64 bits.

    Raises MissingError where they are not under `root`, UsageError where the file is not what the record names.
    """
    content = read_bytes(root, samples)
    try:
        return decode(content)
    except (ValueError, TypeError, OSError, NotImplementedError) as error:  # what pyarrow raises for foreign bytes
        where = f"{root.place}/{sample_name(samples.sha256)}"
        raise UsageError(f"{where}: is no Parquet file of predictions: {error}") from error


def read_bytes(root: Root, samples: Samples) -> bytes:
    """Return the predictions that a record names as the bytes of their file, as they were written."""
    name = sample_name(samples.sha256)
    where = f"{root.place}/{name}"
    try:
        content = root.read(name)
    except FileNotFoundError:
        raise MissingError(
            f"the per-sample predictions are not at {where}; packed records travel without them: "
            "copy the folder `samples` or run the job again"
        ) from None
    except OSError as error:
        raise MissingError(f"cannot read {where}: {error.strerror or error}") from error
    if hashlib.sha256(content).hexdigest() != samples.sha256:
        raise UsageError(f"{where}: the content does not match the file's name; it was edited or damaged")
    return content


def decode(content: bytes) -> Table:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "reading per-sample predictions") from None
    # Threads would gain nothing on a small file, and pyarrow's abort a process that ends while they start.
    table = parquet.ParquetFile(arrow.BufferReader(content), pre_buffer=False).read(use_threads=False)
    return {name: _values(arrow, table[name].combine_chunks()) for name in table.column_names}


def _values(arrow: Any, column: Any) -> Any:
    """Return a column's values as `Table` describes them."""
    import numpy as np

    if arrow.types.is_fixed_size_list(column.type):
        flat = _values(arrow, column.flatten())
        return flat.reshape(len(column), column.type.list_size)
    if arrow.types.is_integer(column.type):
        return np.from_dlpack(column).astype(np.int64)  # to_numpy would import pandas
    if arrow.types.is_floating(column.type):
        return np.from_dlpack(column)
    return column.to_pylist()
