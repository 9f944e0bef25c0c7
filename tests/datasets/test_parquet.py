from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ssl_bench.datasets import parquet
from ssl_bench.errors import DataError, MissingError, UsageError

OPTIONS = {"files": {"train": "train-*.parquet"}}
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def save(path: Path, pngs: list[bytes], nested: bool = True, metadata: dict[str, Any] | None = None) -> None:
    images = [{"bytes": png, "path": None} for png in pngs] if nested else pngs
    table = pa.table({"image": pa.array(images, STRUCT if nested else pa.binary()), "label": range(len(pngs))})
    if metadata:
        table = table.replace_schema_metadata({key: json.dumps(value) for key, value in metadata.items()})
    pq.write_table(table, path, row_group_size=3)


@pytest.mark.parametrize("nested", [True, False])
def test_shards(tmp_path: Path, pngs: list[bytes], nested: bool) -> None:
    """Rows of all files follow one another in order of file name, for Hugging Face's struct and for plain bytes."""
    save(tmp_path / "train-1.parquet", pngs[10:40], nested)
    save(tmp_path / "train-0.parquet", pngs[:10], nested)
    split = parquet.load(OPTIONS, tmp_path)["train"]
    assert split.labels.tolist() == [*range(10), *range(30)]
    source = pickle.loads(pickle.dumps(split.source))  # noqa: S301 - what multiprocessing does
    order = [39, 0, 20, 10, 9, *range(40)]
    assert [source.read(i) for i in order] == [pngs[i] for i in order]
    assert len(source._kept) <= parquet.GROUPS_KEPT
    assert len(pickle.dumps(source)) == len(pickle.dumps(split.source))


@pytest.mark.parametrize(
    "metadata",
    [
        {"class_names": ["ant", "bee"]},
        {"huggingface": {"info": {"features": {"label": {"names": ["ant", "bee"], "_type": "ClassLabel"}}}}},
    ],
)
def test_class_names(tmp_path: Path, pngs: list[bytes], metadata: dict[str, Any]) -> None:
    """Class names come from the schema's metadata."""
    save(tmp_path / "train-0.parquet", pngs[:2], metadata=metadata)
    assert parquet.load(OPTIONS, tmp_path)["train"].class_names == ("ant", "bee")


def test_errors(tmp_path: Path, pngs: list[bytes]) -> None:
    """No file, an unknown column, a column of numbers, a damaged file and an empty cell are errors by name."""
    with pytest.raises(MissingError, match=r"no file fits .*train-\*"):
        parquet.locate(OPTIONS, tmp_path)
    save(tmp_path / "train-0.parquet", pngs[:2])
    with pytest.raises(UsageError, match=r"no column 'labels'\. Did you mean label"):
        parquet.load(OPTIONS | {"label": "labels"}, tmp_path)
    with pytest.raises(DataError, match="not the bytes of images"):
        parquet.load(OPTIONS | {"image": "label"}, tmp_path)
    (tmp_path / "train-1.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"cannot read .*train-1"):
        parquet.load(OPTIONS, tmp_path)
    pq.write_table(pa.table({"image": pa.array([None], pa.binary()), "label": [0]}), tmp_path / "train-1.parquet")
    with pytest.raises(DataError, match=r"row 0 of row group 0 of .*train-1\.parquet holds no image"):
        parquet.load({"files": {"train": "train-1.parquet"}}, tmp_path)["train"].read(0)


def rows(path: Path, pngs: list[bytes], metadata: dict[str, Any] | None = None, **columns: Any) -> None:
    """Write as many images as a column is long, with these columns beside them."""
    count = len(next(iter(columns.values())))
    table = pa.table({"image": pa.array(pngs[:count], pa.binary()), **columns})
    named = {key: json.dumps(value) for key, value in (metadata or {}).items()}
    pq.write_table(table.replace_schema_metadata(named), path)


def test_several_labels(tmp_path: Path, pngs: list[bytes]) -> None:
    """Several labels are lists of numbers, of classes that the card or the file names, or a column per class."""
    path = tmp_path / "train-0.parquet"
    rows(path, pngs, label=[[2, 0], [], [1]], a=[1, 0, -1], b=[False, True, True])
    split = parquet.load(OPTIONS | {"classes": ["x", "y", "z"]}, tmp_path)["train"]
    assert (split.class_names, split.labels.tolist()) == (("x", "y", "z"), [[1, 0, 1], [0, 0, 0], [0, 1, 0]])
    split = parquet.load(OPTIONS | {"labels": ["a", "b"]}, tmp_path)["train"]
    assert (split.class_names, split.labels.tolist()) == (("a", "b"), [[1, 0], [0, 1], [-1, 1]])
    with pytest.raises(UsageError, match=r"data\.classes must name the classes"):
        parquet.load(OPTIONS, tmp_path)
    with pytest.raises(DataError, match=r"train-0\.parquet: label: row 0 has the label 2, outside 0 to 1"):
        parquet.load(OPTIONS | {"classes": ["x", "y"]}, tmp_path)
    named = {"label": {"feature": {"names": ["x", "y", "z"], "_type": "ClassLabel"}, "_type": "List"}}
    rows(path, pngs, {"huggingface": {"info": {"features": named}}}, label=[[2], [0]])
    assert parquet.load(OPTIONS, tmp_path)["train"].labels.tolist() == [[0, 0, 1], [1, 0, 0]]
    rows(path, pngs, label=[[2], None])
    with pytest.raises(DataError, match="row 1 holds None, not a list of whole numbers"):
        parquet.load(OPTIONS | {"classes": ["x", "y", "z"]}, tmp_path)


def test_words_and_names(tmp_path: Path, pngs: list[bytes]) -> None:
    """Labels may be words that the card puts in order, and a column may name the samples, each once."""
    rows(tmp_path / "train-0.parquet", pngs, label=["bee", "ant"], key=["k1", "k0"])
    rows(tmp_path / "train-1.parquet", pngs, label=["ant"], key=["k2"])
    split = parquet.load(OPTIONS | {"classes": ["bee", "ant"], "id": "key"}, tmp_path)["train"]
    assert (split.labels.tolist(), split.ids) == ([0, 1, 1], ("k1", "k0", "k2"))
    with pytest.raises(UsageError, match=r"label holds words; name them in data\.classes"):
        parquet.load(OPTIONS, tmp_path)
    with pytest.raises(DataError, match="label 'ant' is not one of the declared classes"):
        parquet.load(OPTIONS | {"classes": ["bee"]}, tmp_path)
    rows(tmp_path / "train-1.parquet", pngs, label=["ant"], key=["k1"])
    with pytest.raises(DataError, match="two rows of a split have the key 'k1'"):
        parquet.load(OPTIONS | {"classes": ["bee", "ant"], "id": "key"}, tmp_path)
