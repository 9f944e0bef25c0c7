"""Per-sample predictions from strangers: a Parquet file's own description is asked first, then it is decoded in bounds.

What a file says may be a lie: a dictionary of one long word and a run of references is a few bytes that decode to any
length. So words stay references until their length is known, and, where the system knows limits of memory, the decoder
has no more of it than a table may take.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ssl_bench.errors import UsageError, missing_package, reason
from ssl_bench.results import samples as sample_files
from ssl_bench.results.samples import Table
from ssl_bench.submission.limits import USUAL, Limits

TYPES = frozenset({"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"})
PIECE = 65_536
"""Rows that are decoded at a time."""
SLACK = 2**30
"""Memory that the decoder may take beyond the table itself, in bytes."""
THRIFT = 2**20
"""Longest word, and most items of a list, in a file's own description."""


def check_form(content: bytes, where: str, limits: Limits = USUAL) -> None:
    """Raise UsageError naming `where` for a file that is no Parquet, or is larger or of other types than predictions;
    only its description is read."""
    _opened(content, where, limits)


def read(content: bytes, where: str, limits: Limits = USUAL) -> Table:
    """Return the table in a Parquet file; raise UsageError naming `where` for what `check_form` refuses, what does not
    decode, and what decodes to more than the limits."""
    file = _opened(content, where, limits)
    words = [file.schema_arrow.names[i] for i, kind in enumerate(file.schema_arrow.types) if str(kind) == "string"]
    try:
        with _bounded_memory(limits.decoded + SLACK):
            file = _opened(content, where, limits, read_dictionary=words)
            decoded = 0
            for piece in file.iter_batches(PIECE, use_threads=False):
                decoded += sum(_width(column) for column in piece.columns)
                if decoded > limits.decoded:
                    raise UsageError(f"{where}: decodes to more than {limits.decoded:,} bytes")
            return sample_files.decode(content)
    except MemoryError:
        raise UsageError(f"{where}: decodes to more than {limits.decoded:,} bytes") from None
    except (ValueError, TypeError, OSError, NotImplementedError) as error:
        raise UsageError(f"{where}: is no table of predictions: {reason(error)}") from error


def _opened(content: bytes, where: str, limits: Limits, **options: Any) -> Any:
    """Return the open file, of which nothing but the description was read."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "reading per-sample predictions") from None
    try:
        file = parquet.ParquetFile(
            arrow.BufferReader(content),
            pre_buffer=False,
            thrift_string_size_limit=THRIFT,
            thrift_container_size_limit=THRIFT,
            **options,
        )
        what = _wrong(file.metadata, limits)
    except (ValueError, TypeError, OSError, NotImplementedError, MemoryError) as error:
        raise UsageError(f"{where}: is no Parquet file: {reason(error)}") from error
    if what:
        raise UsageError(f"{where}: {what}")
    return file


def _wrong(said: Any, limits: Limits) -> str:
    """Return what of a file's description is beyond the limits, or ""."""
    if said.num_columns > limits.columns:
        return f"has {said.num_columns:,} columns, more than {limits.columns}"
    if said.num_rows > limits.rows:
        return f"has {said.num_rows:,} rows, more than {limits.rows:,}"
    if said.num_row_groups > 1 + said.num_rows:
        return f"has {said.num_row_groups:,} row groups for {said.num_rows:,} rows"
    chunks = [said.row_group(i).column(j) for i in range(said.num_row_groups) for j in range(said.num_columns)]
    if other := {chunk.physical_type for chunk in chunks} - TYPES:
        return f"holds {', '.join(sorted(other))}, which no prediction is"
    if (decoded := sum(chunk.total_uncompressed_size for chunk in chunks)) > limits.decoded:
        return f"decodes to {decoded:,} bytes, more than {limits.decoded:,}"
    return ""


def _width(column: Any) -> int:
    """Return the bytes of a column once words are no longer references."""
    if not hasattr(column, "dictionary"):
        return int(column.nbytes)
    longest = max((len(word.as_py() or "") for word in column.dictionary), default=0)
    return int(column.nbytes) + 4 * longest * len(column)


@contextlib.contextmanager
def _bounded_memory(more: int) -> Iterator[None]:
    """Let the process take at most `more` bytes of further address space within the block, where the system can."""
    try:
        import resource
        from pathlib import Path

        now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        bound = now + more if soft == resource.RLIM_INFINITY else min(soft, now + more)
        resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    except (ImportError, OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
