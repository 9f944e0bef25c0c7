"""Predictions of strangers: a table is read within bounds, whatever its file says of itself."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from ssl_bench.errors import UsageError
from ssl_bench.submission import tables
from ssl_bench.submission.limits import Limits
from tests.submission.factory import scored


def encoded(**columns: Any) -> bytes:
    """Return a Parquet file."""
    buffer = io.BytesIO()
    parquet.write_table(arrow.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def test_a_table_comes_back() -> None:
    """The predictions of a record are read as the store reads them."""
    record, content = scored()
    table = tables.read(content, "here")
    assert tuple(table) == record.samples.columns
    assert table["pred"].dtype == np.int64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no Parquet file"),
        (b"PAR1" + b"\x00" * 100 + b"PAR1", "is no Parquet file"),
        (b"\x80\x04cos\nsystem\n(S'touch pwned'\ntR.", "is no Parquet file"),
        (encoded(a=arrow.array([b"x" * 7] * 3, arrow.binary(7))), "holds FIXED_LEN_BYTE_ARRAY"),
        (encoded(**{f"c{i}": [1] for i in range(17)}), "has 17 columns, more than 16"),
    ],
)
def test_what_is_no_table_of_predictions_is_refused(content: bytes, message: str) -> None:
    """Other formats, pickles among them, and other types are refused from the file's own description."""
    with pytest.raises(UsageError, match=f"^here: {message}"):
        tables.check_form(content, "here")


def test_one_long_word_and_a_million_references_are_refused() -> None:
    """A dictionary that unfolds to 100 GB is 2 kB on disk; its words are counted before they are unfolded."""
    words = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(1_000_000, np.int32)), ["x" * 100_000])
    content = encoded(sample_id=words)
    assert len(content) < 10_000
    with pytest.raises(UsageError, match="decodes to more than 1,073,741,824 bytes"):
        tables.read(content, "here")


def test_lists_without_end_are_refused() -> None:
    """Lists of a thousand million equal numbers, which compress to nothing, are not unfolded."""
    values = arrow.array(np.zeros(30_000_000, np.int32))
    lists = arrow.ListArray.from_arrays(arrow.array([0, 30_000_000], arrow.int32()), values)
    with pytest.raises(UsageError, match="decodes to"):
        tables.read(encoded(hits=lists), "here", Limits(decoded=10_000_000))
