"""Boards of numbers that are no fractions: exponents, dimensions, distances."""

from __future__ import annotations

import dataclasses

import pytest

from ssl_bench.cli.tables import headed, interval, number
from ssl_bench.leaderboard import site, text
from ssl_bench.leaderboard.ranking import make_board
from ssl_bench.results.describe import describe
from ssl_bench.results.record import MetricDefinition, MetricValue, Record
from ssl_bench.results.store import Results
from tests.results.factory import make_protocol, make_record, make_task


def record(model: str, value: float, *, higher_is_better: bool = True, task: str = "cifar10") -> Record:
    """Return a record whose headline counts dimensions, has no chance and no interval."""
    definition = MetricDefinition("dimensions", higher_is_better, 0.0, 1e9, None)
    block = dataclasses.replace(make_task(task), metric="rank", metrics={"rank": definition})
    base = make_record(model, task, make_protocol("spectrum", {}))
    return dataclasses.replace(base, task=block, metrics={"rank": MetricValue(value, block.samples["test"])})


def test_numbers_are_percent_for_fractions_alone() -> None:
    """A fraction is printed as percent, any other number as it is; what is not there is printed as nothing."""
    assert number(0.9691, "fraction") == "96.91"
    assert number(1234.5678, "dimensions") == "1234.6"
    assert number(None, "fraction") == interval(None, 0.5, "fraction") == ""
    assert headed(["fraction"] * 2, ["1.00", "2.00"]) == ("%", ["1.00", "2.00"])
    assert headed(["fraction", "dimensions"], ["1.00", "7.1"]) == ("value", ["1.00 %", "7.1 dimensions"])


@pytest.mark.parametrize("higher", [True, False])
def test_the_best_is_the_best_in_the_metric_s_direction(higher: bool) -> None:
    """Rows, plots and bold follow the metric's direction, whatever its unit."""
    records = [record(name, value, higher_is_better=higher) for name, value in (("low", 7.25), ("high", 312.5))]
    (table,) = make_board(records).tables
    assert [row.model.name for row in table.rows] == (["high", "low"] if higher else ["low", "high"])
    assert [cell.best for row in table.rows for cell in row.cells if cell] == [True, False]
    assert table.chance.value is None


def test_a_board_names_the_unit_and_shows_no_percent() -> None:
    """Page, Markdown and record show the number as it is, its unit beside it, and chance as absent."""
    board = make_board([record("a", 7.25), record("b", 312.5)])
    table = text.markdown(board)
    assert "| cifar10 (dimensions) |" in table
    assert "**312.5**" in table
    assert "| *chance* | — | — |" in table
    page = site.html(board)
    assert "cifar10 <small>dimensions</small>" in page
    assert ">312.5</a>" in page
    assert "31250" not in page
    assert "rank             312.5 dimensions   n = 10000" in describe(record("b", 312.5))


def test_tasks_of_several_units_have_no_mean() -> None:
    """A mean over percent and dimensions is not made."""
    fractions = make_record("a", "dtd", make_protocol("spectrum", {}))
    (row,) = make_board([record("a", 7.25), fractions]).tables[0].rows
    assert row.mean.value is None


def test_a_listed_record_tells_its_unit(tmp_path) -> None:
    """`results ls` knows the unit of every record."""
    results = Results(tmp_path)
    results.put(record("a", 7.25))
    assert [(row.metric, row.unit, row.value) for row in results.table_rows()] == [("rank", "dimensions", 7.25)]
