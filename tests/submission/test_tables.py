"""Predictions of strangers: a table is read within bounds, whatever its file says of itself."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from ssl_bench.errors import UsageError
from ssl_bench.submission import tables
from ssl_bench.submission.limits import Limits
from tests.submission.factory import scored

CONTENT = scored()[1]


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
        (encoded(a=arrow.array([b"x"])), "holds columns of types that no prediction has: a"),
        (encoded(a=arrow.array([["x"]])), "holds columns of types"),
        (encoded(a=arrow.array([{"b": 1}])), "holds columns of types"),
        (encoded(a=arrow.array(["x"], arrow.large_string())), "holds columns of types"),
        (encoded(a=arrow.array([[[1]]])), "holds columns of types"),
        (encoded(a=arrow.array(["x"]).dictionary_encode()), "holds columns of types"),
        (encoded(a=arrow.array([0], arrow.timestamp("us"))), "holds columns of types"),
        (encoded(**{"a\x1b[2J": arrow.array([b"x"])}), "holds columns of types that no prediction has: a�"),
    ],
)
def test_what_is_no_table_of_predictions_is_refused(content: bytes, message: str) -> None:
    """Other formats, pickles among them, and other types are refused from the file's own description."""
    with pytest.raises(UsageError, match=f"^here: {message}"):
        tables.check_form(content, "here")


def test_one_long_word_and_a_million_references_are_refused() -> None:
    """A dictionary that unfolds to 100 GB is 2 kB on disk; its words are counted before they are unfolded."""
    words = arrow.DictionaryArray.from_arrays(arrow.array(np.zeros(1_000_000, np.int32)), ["x" * 100_000])
    buffer = io.BytesIO()
    parquet.write_table(arrow.table({"sample_id": words}), buffer, compression="zstd", store_schema=False)
    content = buffer.getvalue()
    assert len(content) < 10_000
    with pytest.raises(UsageError, match="decodes to more than 1,073,741,824 bytes"):
        tables.read(content, "here")


def test_lists_without_end_are_refused() -> None:
    """Lists of a thousand million equal numbers, which compress to nothing, are not unfolded."""
    values = arrow.array(np.zeros(30_000_000, np.int32))
    lists = arrow.ListArray.from_arrays(arrow.array([0, 30_000_000], arrow.int32()), values)
    with pytest.raises(UsageError, match="decodes to"):
        tables.read(encoded(hits=lists), "here", Limits(decoded=10_000_000))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8))
def test_damaged_files_are_refused_or_read(changes: list[tuple[int, int]]) -> None:
    """Whatever bytes of a file are others, reading it ends with a table or with one line that names the place."""
    content = bytearray(CONTENT)
    for at, value in changes:
        content[at % len(content)] = value
    assert said(bytes(content)) in ("", "here")


@pytest.mark.parametrize(("at", "value"), [(-636, 21), (-731, 42), (-737, 25), (-840, 22)])
def test_a_file_that_kills_its_reader_is_refused_and_the_next_is_read(at: int, value: int) -> None:
    """pyarrow ends the process on some damaged files; it is not ours, and others are read as before."""
    content = bytearray(CONTENT)
    content[at] = value
    assert said(bytes(content)) in ("", "here")
    assert tables.read(CONTENT, "here")["target"].shape == (40,)


def said(content: bytes) -> str:
    """Return the place that is named where a file is refused, and "" where it is read."""
    try:
        tables.read(content, "here", Limits(decoded=2**22))
    except UsageError as error:
        return str(error).partition(":")[0] if "\n" not in str(error) else "several lines"
    return ""


def test_the_reader_imports_nothing_of_the_folder_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder of foreign files beside a bundle cannot slip a module under the reader."""
    (tmp_path / "struct.py").write_text("open('pwned', 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "_DECODER", tables._Decoder())
    assert tables.read(CONTENT, "here")["target"].shape == (40,)
    assert not (tmp_path / "pwned").exists()


def test_a_reader_that_is_gone_is_replaced() -> None:
    """Who ended the process between two files did not damage the second."""
    tables.check_form(CONTENT, "here")
    process = tables._DECODER._process
    assert process is not None
    process.kill()
    process.wait()
    tables.check_form(CONTENT, "here")


def test_a_reader_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that takes its reader longer than it may is refused."""
    monkeypatch.setattr(tables, "SECONDS", 0.0)
    said = {_refusal() for _ in range(100)}  # the watch and the reader run side by side
    assert any(line.startswith("here: is no Parquet file") for line in said)


def _refusal() -> str:
    try:
        tables.check_form(CONTENT, "here")
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    "columns",
    [
        [{"name": "a", "dtype": "|O", "shape": [1], "bytes": 8}],
        [{"name": "a", "dtype": "<i8", "shape": [2], "bytes": 8}],
        [{"name": "a", "dtype": "", "shape": [1], "bytes": 8}],
        [{"name": "a", "dtype": "<i8", "shape": [1], "bytes": 4}],
        [],
    ],
)
def test_nothing_that_the_reader_answers_is_believed(columns: list[dict[str, Any]]) -> None:
    """Answers of objects, of other sizes than they have, or that are no JSON are refused: the reader may be taken."""
    with pytest.raises(ValueError, match=r"."):
        tables._unpacked(columns, b"[[[1]]] "[:8])
