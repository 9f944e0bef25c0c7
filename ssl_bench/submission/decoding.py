"""The process in which Parquet files of strangers are opened: `python -m ssl_bench.submission.decoding`.

pyarrow ends the whole process on some damaged files, and what a file says of its size may be a lie: a dictionary of one
long word and a run of references is a few bytes that decode to any length. So a file's own description is asked first,
words stay references until their length is known, and the process has no more memory than a table may take.

It reads requests from stdin and writes answers to stdout, each two lengths (big-endian, 8 bytes), a JSON header and
bytes; see `tables`, which asks. Nothing is pickled.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path
from typing import IO, Any

from ssl_bench.errors import UsageError, missing_package, reason
from ssl_bench.results import samples as sample_files
from ssl_bench.results.samples import Table
from ssl_bench.submission.limits import Limits, readable

LENGTHS = struct.Struct(">QQ")
TYPES = frozenset({"BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY"})
PIECE = 65_536
"""Rows that are decoded at a time."""
SLACK = 2**30
"""Memory that the decoder may take beyond the table itself, in bytes."""
THRIFT = 2**20
"""Longest word, and most items of a list, in a file's own description."""
DAMAGED = (ValueError, TypeError, OSError, NotImplementedError)
"""What pyarrow raises for foreign bytes."""


def serve(given: IO[bytes], answers: IO[bytes]) -> None:
    """Answer requests until there are no more."""
    while lengths := given.read(LENGTHS.size):
        head, size = LENGTHS.unpack(lengths)
        request = json.loads(given.read(head))
        content, limits = given.read(size), Limits(**request["limits"])
        bound_memory(limits.decoded + SLACK)
        said: dict[str, Any] = {}
        parts: list[bytes] = []
        try:
            if request["decode"]:
                said["columns"], parts = packed(decoded(content, limits))
            else:
                opened(content, limits)
        except UsageError as error:
            said["error"] = str(error)
        except MemoryError:
            said["error"] = f"decodes to more than {limits.decoded:,} bytes"
        header = json.dumps(said).encode()
        answers.write(LENGTHS.pack(len(header), sum(map(len, parts))) + header)
        answers.writelines(parts)
        answers.flush()


def bound_memory(more: int) -> None:
    """Let the process take at most `more` bytes of further address space, where the system can."""
    try:
        import resource

        now = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (min(now + more, hard) if hard > 0 else now + more, hard))
    except (ImportError, OSError, ValueError):
        return


def decoded(content: bytes, limits: Limits) -> Table:
    """Return the table in a file, decoded a piece at a time within bounds before it is decoded whole."""
    file = opened(content, limits)
    words = [field.name for field in file.schema_arrow if str(field.type) == "string"]
    try:
        file = opened(content, limits, read_dictionary=words)
        total = 0
        for piece in file.iter_batches(PIECE, use_threads=False):
            total += sum(_width(column) for column in piece.columns)
            if total > limits.decoded:
                raise UsageError(f"decodes to more than {limits.decoded:,} bytes")
        return sample_files.decode(content)
    except DAMAGED as error:
        raise UsageError(f"is no table of predictions: {reason(error)}") from error


def opened(content: bytes, limits: Limits, **options: Any) -> Any:
    """Return the open file, of which nothing but the description was read; raise UsageError for what is no Parquet, or
    larger or of other types than predictions."""
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
        what = _wrong(file.metadata, limits) or ("" if options else _wrong_types(arrow.types, file.schema_arrow))
    except DAMAGED as error:
        raise UsageError(f"is no Parquet file: {reason(error)}") from error
    if what:
        raise UsageError(what)
    return file


def packed(table: Table) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return a table as descriptions of columns and their bytes: numbers as they are, words and lists as JSON."""
    columns, parts = [], []
    for name, values in table.items():
        numbers = hasattr(values, "dtype")
        parts.append(values.tobytes() if numbers else json.dumps(values).encode())
        shape = list(values.shape) if numbers else [len(values)]
        dtype = values.dtype.str if numbers else ""
        columns.append({"name": name, "dtype": dtype, "shape": shape, "bytes": len(parts[-1])})
    return columns, parts


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
    if (total := sum(chunk.total_uncompressed_size for chunk in chunks)) > limits.decoded:
        return f"decodes to {total:,} bytes, more than {limits.decoded:,}"
    return ""


def _wrong_types(types: Any, schema: Any) -> str:
    """Return which columns are of types that no prediction has, or "": words, numbers, and lists of numbers are."""

    def number(kind: Any) -> bool:
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))

    other = [
        field.name
        for field in schema
        if not (
            types.is_string(field.type)
            or number(field.type)
            or ((types.is_list(field.type) or types.is_fixed_size_list(field.type)) and number(field.type.value_type))
        )
    ]
    return f"holds columns of types that no prediction has: {readable(', '.join(other))}" if other else ""


def _width(column: Any) -> int:
    """Return the bytes of a column once words are no longer references."""
    if not hasattr(column, "dictionary"):
        return int(column.nbytes)
    longest = max((len(word.as_py() or "") for word in column.dictionary), default=0)
    return int(column.nbytes) + 4 * longest * len(column)


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
