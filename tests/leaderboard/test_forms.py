"""The forms that a board is written in, and what a reader may choose its rows by."""

from __future__ import annotations

import dataclasses
import json

import pytest
from pyarrow import parquet

from ssl_bench.aggregators import AGGREGATORS, Answer
from ssl_bench.leaderboard import data, forms, page_data, site, traits
from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.results.record import MetricDefinition
from ssl_bench.results.standing import Standing
from tests.leaderboard.test_site import HOSTILE
from tests.results.factory import make_grid, make_model, make_record

ENTRY = Entry("a", "Lab", "a@b.c", "MIT", "private", "0" * 64, ("YFCC", "CIFAR-10"), False, "open")


def test_every_form_is_written(tmp_path):
    """A folder gets the board in every form, and equal boards give equal bytes."""
    board = make_board(make_grid(models=3, tasks=4))
    names = ["board.html", "board.md", "board.csv", "board.tex", "board.json", "board.parquet"]
    paths = forms.write_all(board, tmp_path / "a")
    assert [path.name for path in paths] == names
    again = forms.write_all(make_board(reversed(list(make_grid(models=3, tasks=4)))), tmp_path / "b")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in paths]


def test_json_holds_what_the_page_tells():
    """JSON has every number as its record has it, means with their coverage, and what is declared and checked."""
    board = make_board([make_record("a", value=0.75), make_record("b", "dtd", value=0.5)])
    (table,) = board.tables
    row = dataclasses.replace(table.rows[0], entry=ENTRY, standing=Standing("disputed", "somebody"))
    board = dataclasses.replace(board, tables=(dataclasses.replace(table, rows=(row, table.rows[1])),))
    body = json.loads(data.json_text(board))
    first, second = body["tables"][0]["rows"]
    assert first["values"] == {
        "cifar10": {
            "value": 0.75,
            "low": row.cells[0].low,
            "high": row.cells[0].high,
            "spread": None,
            "best": True,
            "contaminated": "",
            "published": None,
            "drift": [],
            "records": [row.cells[0].records[0].record_id],
        }
    }
    assert first["mean"] == {"value": None, "tasks": 1, "of": 2}
    assert (first["level"], first["standing"]["by"], first["division"]) == ("disputed", "somebody", "open")
    assert first["data"] == ["YFCC", "CIFAR-10"]
    assert (second["entry"], second["standing"], second["licence"]) == (None, None, "Apache-2.0")
    assert body["tables"][0]["columns"][0]["ceiling"] == 1.0


def test_parquet_has_a_row_per_number(tmp_path):
    """Parquet has the declared columns and a row per model, task and protocol, foreign names as they are."""
    records = [make_record(make_model(name), seed=seed) for name in HOSTILE for seed in (0, 1)]
    board = make_board([*records, make_record("b", "dtd", "logistic_regression")])
    forms.write(board, "parquet", tmp_path / "board.parquet")
    table = parquet.read_table(tmp_path / "board.parquet")
    assert table.schema.names == [name for name, _, _ in data.COLUMNS]
    rows = table.to_pylist()
    assert {row["model"] for row in rows} == {*HOSTILE, "b"}
    assert {(row["seeds"], len(row["records"].split())) for row in rows if row["task"] == "cifar10"} == {(2, 2)}
    assert rows[-1]["protocol"] == "logistic_regression@1"


def test_an_entry_stands_before_the_card():
    """Data, licence and division are the entry's where there is one, else the card's; else they are "not stated"."""
    declared, bare = make_board([make_record("a"), make_record(make_model("b"))]).tables[0].rows
    declared = dataclasses.replace(declared, entry=ENTRY)
    bare = dataclasses.replace(bare, model=dataclasses.replace(bare.model, about={}))
    assert traits.of(declared) == traits.Traits(("YFCC", "CIFAR-10"), "MIT", "self-reported", "cls", "open")
    assert traits.of(bare) == traits.Traits(("not stated",), "not stated", "self-reported", "cls", "not stated")
    found = {key: values for key, _, values in traits.facets([declared, bare], ["knn"])}
    assert found == {
        "data": ["CIFAR-10", "YFCC", "not stated"],
        "licence": ["MIT", "not stated"],
        "division": ["open", "not stated"],
    }


@pytest.mark.parametrize(
    ("definition", "best"),
    [
        (MetricDefinition("fraction", True, 0.0, 1.0, 0.1), 1.0),
        (MetricDefinition("fraction", True, 0.0, 1.0, 0.1, 0.9), 0.9),
        (MetricDefinition("fraction", False, 0.0, 1.0, 0.9), 0.0),
        (MetricDefinition("pixels", False, 0.0, 1e9, 12.0), None),
        (MetricDefinition("pixels", False, 0.0, 1e9, 12.0, 2.0), 2.0),
    ],
)
def test_what_stands_at_one(definition, best):
    """A normalised 1 is the ceiling that the task states, for a share without one the better end of its range."""
    assert page_data.best_of(definition) == best


def test_normalised_means_of_suites_are_the_page_s():
    """The page's ceiling of a share is the best value that a suite's normalised mean takes."""
    answer = Answer(0.55, chance=0.1)
    assert answer.best == page_data.best_of(MetricDefinition("fraction", True, 0.0, 1.0, 0.1))
    assert AGGREGATORS["chance_normalised_mean@1"].mean([answer]) == pytest.approx(0.5)


def test_a_large_page_rounds_and_tells_ids(monkeypatch):
    """A page of too many records to hold them has six digits of every number and eight of every record's id."""
    monkeypatch.setattr(site, "MOST_WHOLE", 1)
    board = make_board([make_record("a", value=0.123456789, task="svhn"), make_record("a", "dtd")])
    (row,) = page_data.of_tables(board, whole=False)["tables"][0]["rows"]
    cells = board.tables[0].rows[0].cells
    assert row["values"] == [float(f"{cell.value:.6g}") for cell in cells]
    assert row["ids"] == "".join(cell.records[0].record_id[:8] for cell in cells)
    page = site.html(board)
    assert "ssl-bench results show ID" in page
    assert row["ids"] in page
