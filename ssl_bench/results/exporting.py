"""Records as flat tables for other programs: CSV, JSON and Parquet, one row per record or per metric."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from ssl_bench.errors import missing_package
from ssl_bench.results.index import Index
from ssl_bench.results.index_schema import METRICS, RECORDS, Columns

Row = tuple[Any, ...]


def flat(index: Index, every_metric: bool = False) -> tuple[Columns, list[Row]]:
    """Return columns and rows of the records that stand for their jobs; with `every_metric`, a row for each metric.

    `index` is up to date. Rows go by model, task, protocol and seed, so that equal records give equal files.
    """
    own = {name for name, _, _ in METRICS} - {"content_digest", "name"}
    words = [f"m.{name}" if every_metric and name in own else f"r.{name}" for name, _, _ in RECORDS]
    if every_metric:
        words[[name for name, _, _ in RECORDS].index("metric")] = "m.name"
    joined = "records r JOIN metrics m USING (content_digest)" if every_metric else "records r"
    order = f"r.model, r.task, r.protocol, r.seed, r.record_id{', m.name' if every_metric else ''}"
    query = f"SELECT {', '.join(words)} FROM {joined} WHERE r.status = 'standing' ORDER BY {order}"
    return RECORDS, index.rows(query)


def csv_text(columns: Columns, rows: Sequence[Row]) -> str:
    """Return rows as CSV; an empty cell is an absent value, and no text is taken for a formula by a spreadsheet."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for name, _, _ in columns])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return file.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return repr(value)
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def json_text(columns: Columns, rows: Sequence[Row]) -> str:
    """Return rows as a JSON list of objects, one to a line."""
    names = [name for name, _, _ in columns]
    lines = (json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) for row in rows)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def parquet_bytes(columns: Columns, rows: Sequence[Row]) -> bytes:
    """Return rows as Parquet; raise MissingError where pyarrow is not installed."""
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        raise missing_package("pyarrow", "", "writing Parquet") from None
    kinds = {"TEXT": arrow.string(), "INTEGER": arrow.int64(), "REAL": arrow.float64()}
    arrays = [arrow.array([row[i] for row in rows], kinds[kind]) for i, (_, kind, _) in enumerate(columns)]
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(arrays, names=[name for name, _, _ in columns]), buffer, compression="zstd")
    return buffer.getvalue()
