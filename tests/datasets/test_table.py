from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_bench.datasets import table
from ssl_bench.errors import DataError, MissingError, UsageError

LIST = (
    "path,kind,angle,split\nimg/0.png,10,0,train\nimg/1.png,9,44.5,train\nimg/2.png,10,45,test\nimg/3.png,9,359,test\n"
)
OPTIONS = {"path": "data", "list": "index.csv", "label": "kind", "split_column": "split"}


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    (tmp_path / "data/img").mkdir(parents=True)
    for i in range(4):
        (tmp_path / f"data/img/{i}.png").write_bytes(pngs[i])
    (tmp_path / "data/index.csv").write_text(LIST)
    return tmp_path


def test_rows(root: Path, pngs: list[bytes]) -> None:
    """Rows keep the list's order; whole-number labels rank as numbers, over all splits."""
    splits = table.load(OPTIONS, root)
    assert splits["train"].ids == ("img/0.png", "img/1.png")
    assert splits["train"].class_names == ("9", "10")
    assert splits["train"].labels.tolist() == splits["test"].labels.tolist() == [1, 0]
    assert splits["test"].read(1) == pngs[3]


def test_list_inside_and_outside(root: Path, packer: Callable[..., Path]) -> None:
    """The list may lie in the archive or beside it; the samples are the same."""
    packer(root / "data", root / "data.tar")
    inside = table.load(OPTIONS | {"path": "data.tar"}, root)
    (root / "data/index.csv").rename(root / "index.csv")
    outside = table.load(OPTIONS, root)
    assert inside["test"].ids == outside["test"].ids
    assert inside["test"].read(0) == outside["test"].read(0)
    assert root / "index.csv" in table.locate(OPTIONS, root)


def test_bins(root: Path) -> None:
    """Numbers are joined into bins of equal width, lower end inside, in exact arithmetic."""
    splits = table.load(OPTIONS | {"label": "angle", "bins": 8, "range": [0, 360]}, root)
    assert splits["train"].labels.tolist() == [0, 0]
    assert splits["test"].labels.tolist() == [1, 7]
    with pytest.raises(DataError, match=r"'359' lies outside 0\.0 to 300\.0"):
        table.load(OPTIONS | {"label": "angle", "bins": 8, "range": [0, 300]}, root)
    with pytest.raises(UsageError, match="two rising numbers"):
        table.load(OPTIONS | {"label": "angle", "bins": 8}, root)
    with pytest.raises(DataError, match="'test' is not a number"):
        table.load({**OPTIONS, "label": "split", "split_column": "", "bins": 2, "range": [0, 1]}, root)


def test_several_labels(root: Path) -> None:
    """Several labels are a column per class, or words in one column that a sign divides; an image may have none."""
    text = "path,kind,x,y\nimg/0.png,b|a,1,0\nimg/1.png,,-1.0,1\n"
    (root / "data/index.csv").write_text(text)
    divided = {"path": "data", "list": "index.csv", "label": "kind", "separator": "|"}
    split = table.load(divided, root)["train"]
    assert (split.class_names, split.labels.tolist()) == (("a", "b"), [[1, 1], [0, 0]])
    assert table.load({**divided, "classes": ["b", "c", "a"]}, root)["train"].labels.tolist() == [[1, 0, 1], [0, 0, 0]]
    with pytest.raises(DataError, match="label 'b' is not one of the declared classes"):
        table.load({**divided, "classes": ["a"]}, root)
    columns = {"path": "data", "list": "index.csv", "labels": ["y", "x"]}
    split = table.load(columns, root)["train"]
    assert (split.class_names, split.labels.tolist()) == (("y", "x"), [[0, 1], [1, -1]])
    for value in ("2", "yes", ""):
        (root / "data/index.csv").write_text(text.replace("-1.0", value))
        with pytest.raises(DataError, match=rf"'img/1\.png' has '{value}' as 'x', which is not 1, 0 or -1"):
            table.load(columns, root)
    for options in ({**columns, "label": "kind"}, {"path": "data", "list": "index.csv"}):
        with pytest.raises(UsageError, match="name either the column of labels"):
            table.load(options, root)


def test_other_tables(root: Path) -> None:
    """A table may be Parquet or be divided by tabs; the samples are those of the same rows as CSV."""
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = list(csv.DictReader(LIST.splitlines()))
    typed = [{**row, "kind": int(row["kind"]), "angle": float(row["angle"])} for row in rows]
    parquet.write_table(pa.Table.from_pylist(typed), root / "data/index.parquet")
    (root / "index.tsv").write_text(LIST.replace(",", "\t"))
    for change in ({}, {"label": "angle", "bins": 8, "range": [0, 360]}):
        expected = table.load(OPTIONS | change, root)
        for name in ("index.parquet", "index.tsv"):
            found = table.load(OPTIONS | change | {"list": name}, root)
            for split in ("train", "test"):
                assert found[split].ids == expected[split].ids
                assert found[split].labels.tolist() == expected[split].labels.tolist()
    parquet.write_table(pa.Table.from_pylist([{**typed[0], "kind": None}]), root / "data/index.parquet")
    with pytest.raises(DataError, match=r"index\.parquet: row 0 has no text or number in the column 'kind', but None"):
        table.load(OPTIONS | {"list": "index.parquet"}, root)
    (root / "data/index.parquet").write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match=r"cannot read .*index\.parquet"):
        table.load(OPTIONS | {"list": "index.parquet"}, root)


def test_declared_classes(root: Path) -> None:
    """Declared classes give the order, and no other value may occur."""
    assert table.load(OPTIONS | {"classes": ["10", "9"]}, root)["train"].labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="label '9' is not one of the declared classes"):
        table.load(OPTIONS | {"classes": ["10"]}, root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LIST + "img/0.png,9,1,test\n", "lists 'img/0.png' twice"),
        (LIST + "img/9.png,9,1,test\n", "holds no file 'img/9.png'"),
        (LIST + "img/9.png,9\n", "has not as many fields as the header"),
        ("path,kind,angle,split\n", "lists no images"),
    ],
)
def test_dirt(root: Path, text: str, message: str) -> None:
    """A path that is listed twice or not there, a short line and an empty list are errors by name."""
    (root / "data/index.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        table.load(OPTIONS, root)


def test_wrong_names(root: Path) -> None:
    """An unknown column gets a suggestion; a list that is not there is missing."""
    with pytest.raises(UsageError, match=r"no column 'kin'\. Did you mean kind"):
        table.load(OPTIONS | {"label": "kin"}, root)
    with pytest.raises(MissingError, match=r"no list 'none\.csv'"):
        table.load(OPTIONS | {"list": "none.csv"}, root)
