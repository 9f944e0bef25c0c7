"""What a query may ask, and what it never can do."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.errors import UsageError
from ssl_bench.results import query
from ssl_bench.results.index_schema import TABLES
from ssl_bench.results.store import Results
from tests.results.factory import make_grid, make_protocol, make_record


@pytest.fixture
def results(tmp_path: Path) -> Results:
    """A small store, with its index in a file."""
    results = Results(tmp_path / "root", tmp_path / "cache")
    for record in make_grid(models=3, tasks=2, seeds=2):
        results.put(record)
    return results


def test_a_pivot(results: Results):
    """A mean per model and task is the mean of the records' headline values."""
    sql = "SELECT model, task, avg(value), count(*) FROM records WHERE protocol = 'knn' GROUP BY model, task"
    names, rows = query.ask(results.index, sql)
    assert names == ["model", "task", "avg(value)", "count(*)"]
    assert len(rows) == 6
    values: dict[tuple[str, str], list[float]] = {}
    for record in results.records():
        if record.protocol.name == "knn":
            values.setdefault((record.model.name, record.task.name), []).append(record.headline.value)
    assert {row[:2]: row[2] for row in rows} == pytest.approx({key: sum(found) / 2 for key, found in values.items()})


def test_every_documented_column_can_be_asked(results: Results):
    """Each table and column that the help lists is there, and no more."""
    for table, columns in TABLES.items():
        names, _ = query.ask(results.index, f"SELECT * FROM {table}")
        assert names == [name for name, _, _ in columns]


def test_recipes_are_json(tmp_path: Path):
    """A recipe's field is asked for with json_extract, and metrics by their names."""
    results = Results(tmp_path)
    for k in (5, 20):
        results.put(make_record(protocol=make_protocol("knn", {"k": k, "temperature": 0.07})))
    _, rows = query.ask(results.index, "SELECT json_extract(recipe, '$.k') FROM records ORDER BY 1")
    assert rows == [(5,), (20,)]
    _, rows = query.ask(results.index, "SELECT DISTINCT name FROM metrics ORDER BY 1")
    assert rows == [("k=200/top1",), ("top1",), ("top5",)]
    sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT max(i) FROM n"
    assert query.ask(results.index, sql)[1] == [(3,)]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM records",
        "DROP TABLE records",
        "UPDATE records SET value = 1",
        "INSERT INTO withdrawals VALUES ('a', 0, 'b', 'c', 'd', 'e')",
        "CREATE TABLE mine (x)",
        "CREATE TEMP TABLE mine (x)",
        "ATTACH DATABASE '{tmp}/stolen.sqlite' AS stolen",
        "VACUUM INTO '{tmp}/stolen.sqlite'",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA user_version",
        "BEGIN",
        "SELECT load_extension('x')",
        "SELECT * FROM files",
        "SELECT * FROM bodies",
    ],
)
def test_a_query_only_reads(results: Results, tmp_path: Path, sql: str):
    """No query writes, attaches a file, or reads what is not documented; the store answers as before."""
    before = results.records()
    with pytest.raises(UsageError, match="can only read") as caught:
        query.ask(results.index, sql.replace("{tmp}", str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "stolen.sqlite").exists()
    assert results.records() == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT modle FROM records", "no such column: modle. Did you mean model"),
        ("SELECT * FROM record", "no such table: record. Did you mean records"),
        ("SELEC 1", "syntax error"),
        ("SELECT 1; SELECT 2", "one statement"),
        ("", "asks for nothing"),
        ("SELECT '\x00'", "SQLite"),
        ("SELECT json_extract('{', '$')", "malformed JSON"),
    ],
)
def test_mistakes_are_one_line(results: Results, sql: str, words: str):
    """A wrong query is one line that says what is wrong and what may have been meant."""
    with pytest.raises(UsageError) as caught:
        query.ask(results.index, sql)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
