"""`ssl-bench results` as a user meets it."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path

import pytest

from ssl_bench.cli import keep_records, results_command
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from tests.cli.conftest import Command, lines
from tests.results.factory import make_grid, make_model, make_record, make_scored_record


@pytest.fixture
def filled(command: Command) -> Command:
    """The command line, with records of two models under `results`."""
    for record in make_grid(models=2, tasks=2):
        Results("results").put(record)
    return command


def test_every_command_has_examples(command: Command) -> None:
    """Each command's help shows how it is used."""
    assert len(results_command.command.commands) == 11
    for name in results_command.command.commands:
        said = command("results", name, "--help")
        assert said.code == 0
        assert f"ssl-bench results {name}" in said.out, name
    assert {other.name for other in keep_records.COMMANDS} < set(results_command.command.commands)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lss",), "Did you mean ls"),
        (("query", "SELECT modle FROM records"), "Did you mean model"),
        (("query",), "--columns"),
        (("export", "cvs"), "Did you mean csv"),
        (("withdraw", "ffff", "--reason", "x"), "results ls"),
        (("withdraw", "ffff"), "--reason"),
        (("diff", "results", "absent"), "no folder and no packed file"),
    ],
)
def test_mistakes_are_one_line(filled: Command, words: tuple[str, ...], message: str) -> None:
    """A mistake is one line on stderr with what may have been meant, and exit code 2."""
    said = filled("results", *words)
    assert (said.code, said.out) == (2, "")
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_a_pattern_that_fits_nothing(filled: Command) -> None:
    """A mistyped name is answered with the nearest that has records."""
    said = filled("results", "ls", "model01")
    assert "Did you mean model001, model000?" in said.err
    assert len(lines(filled("results", "ls", "model001").out)) == 4


def test_query(filled: Command) -> None:
    """A query is answered as a table or as JSON, and its columns are listed."""
    sql = "SELECT model, count(*) AS records FROM records GROUP BY model"
    assert lines(filled("results", "query", sql).out) == [["model000", "4"], ["model001", "4"]]
    found = json.loads(filled("results", "query", sql, "--json").out)
    assert found == [{"model": "model000", "records": 4}, {"model": "model001", "records": 4}]
    assert ["records", "question"] in [row[:2] for row in lines(filled("results", "query", "--columns").out)]
    assert filled("results", "query", "DELETE FROM records").code == 2


def test_export(filled: Command) -> None:
    """Every form holds the same records; Parquet goes into a file."""
    rows = list(csv.DictReader(io.StringIO(filled("results", "export", "csv").out)))
    assert [row["model"] for row in rows] == ["model000"] * 4 + ["model001"] * 4
    found = json.loads(filled("results", "export", "json").out)
    assert [repr(row["value"]) for row in found] == [row["value"] for row in rows]
    metrics = json.loads(filled("results", "export", "json", "--metrics").out)
    assert {row["metric"] for row in metrics if row["protocol"] == "knn"} == {"top1", "top5", "k=200/top1"}
    assert filled("results", "export", "parquet", "--out", "a.parquet").out.strip() == "a.parquet"
    from pyarrow import parquet

    assert parquet.read_table("a.parquet").to_pylist() == found
    assert "| model001 |" in filled("results", "export", "md").out


def test_latex_obeys_no_name(command: Command) -> None:
    """Names from strangers are printed by LaTeX, never obeyed, in text and in comments; numbers are as on the board."""
    hostile = "\\input{/etc/passwd} & $x_1^2$ # 100 % ~ {a}\nb"
    Results("results").put(make_record(make_model(hostile), value=0.75))
    out = command("results", "export", "latex").out
    assert r"\textbackslash{}input\{/etc/passwd\} \& \$x\_1\textasciicircum{}2\$ \# 100 \% \textasciitilde{}" in out
    assert "\\input{/etc" not in out
    assert r"\textbf{75.0}" in out
    assert out.count("{") == out.count("}")


def test_diff(filled: Command) -> None:
    """Equal stores have exit code 0; a difference is named, in words and in JSON, with exit code 1."""
    assert filled("results", "diff", "results", "results").code == 0
    other = Results("other")
    for record in list(make_grid(models=2, tasks=2))[1:]:
        other.put(record)
    said = filled("results", "diff", "results", "other")
    assert said.code == 1
    assert [row[0] for row in lines(said.out)] == ["only in A"]
    (found,) = json.loads(filled("results", "diff", "results", "other", "--json").out)
    assert found["what"] == "only in A"


def test_import(filled: Command) -> None:
    """An import says what was new and what was there."""
    assert filled("results", "import", "results", "--results", "copy").out == "8 new\n"
    assert filled("results", "import", "results", "--results", "copy").out == "8 here already\n"
    assert filled("results", "diff", "results", "copy").code == 0


def test_withdrawn_everywhere(filled: Command) -> None:
    """A withdrawn record is told with its reason by ls, show and the board, which ranks without it."""
    record = Results("results").records()[0]
    said = filled("results", "withdraw", record.record_id[:10], "--reason", "trained on <test>")
    assert said.code == 0
    assert record.content_digest[:16] in said.out
    assert [row[-1] for row in lines(filled("results", "ls").out)].count("withdrawn: trained on <test>") == 1
    assert "withdrawn: trained on <test>" in filled("results", "show", record.record_id).out
    assert filled("board", "--markdown", "b.md", "--html", "b.html").code == 0
    assert "withdrawn: trained on &lt;test&gt;" in Path("b.md").read_text()
    assert "withdrawn: trained on &lt;test&gt;" in Path("b.html").read_text()
    assert "7 records" in Path("b.html").read_text()


def test_disputed_everywhere(filled: Command) -> None:
    """A disputed record is told with its reason by ls and show, and stays on the board; settled, it is as before."""
    record = Results("results").records()[0]
    words = ("results", "dispute", record.record_id[:10], "--by", "me@lab", "--reason", "cannot be <reproduced>")
    said = filled(*words, "--link", "https://example.org/7")
    assert (said.code, said.out.split(";")[0]) == (0, f"disputed: {record.model.name}, 1 records")
    assert [row[-1] for row in lines(filled("results", "ls").out)].count("disputed: https://example.org/7") == 1
    assert "cannot be <reproduced>  by me@lab" in filled("results", "show", record.record_id).out
    assert filled("board", "--html", "b.html").code == 0
    assert "8 records" in Path("b.html").read_text()
    assert filled("board", "--html", "b.html", "--verifiers", "nobody").code == 6
    assert filled(*words, "--settle").code == 0
    assert "disputed" not in filled("results", "ls").out


def test_drift_everywhere(filled: Command) -> None:
    """Two runs of one job with other numbers are told by ls, show and the board."""
    record = Results("results").records()[0]
    other = next(item for item in make_grid(models=2, tasks=2) if item.record_id == record.record_id)
    again = make_record(other.model, other.task, other.protocol, value=0.9, created="2027-01-01T00:00:00Z")
    Results("results").put(again)
    assert [row[-1] for row in lines(filled("results", "ls").out)].count("drift") == 1
    said = filled("results", "show", record.record_id).out
    assert "other numbers: drift" in said
    assert "90.0" in said
    assert filled("results", "show", record.record_id, "--json").code == 0
    filled("board", "--markdown", "b.md", "--html", "b.html")
    assert "≠ |" in Path("b.md").read_text()
    assert "another run of the same job got 90.0" in Path("b.html").read_text()


def test_gc_asks_first(filled: Command) -> None:
    """`gc` only says what would go until it is told --yes."""
    results = Results("results")
    record = results.records()[0]
    Path("results/copy.jsonl").write_text(
        make_record(
            record.model, record.task, record.protocol, value=record.headline.value, created="2027-01-01"
        ).to_text()
    )
    said = filled("results", "gc")
    assert said.code == 0
    assert "1 younger records" in said.out
    assert "--yes" in said.err
    assert Path("results/copy.jsonl").exists()
    assert filled("results", "gc", "--yes").code == 0
    assert not Path("results/copy.jsonl").exists()
    assert filled("results", "gc").out.startswith("0 predictions")


def test_bold_with_and_without_predictions(command: Command, own_settings: Settings) -> None:
    """Where predictions lie beside the records, the board's tests are paired, and what they find is kept; `--unpaired`
    is what the records alone give."""
    results = Results("results")
    first = make_scored_record(results, n=400, right=300)
    results.put(first)
    results.put(dataclasses.replace(make_scored_record(results, n=400, right=288), model=make_model("other")))
    assert command("board", "--markdown", "paired.md").code == 0
    assert command("board", "--markdown", "unpaired.md", "--unpaired").code == 0
    paired, unpaired = Path("paired.md").read_text(), Path("unpaired.md").read_text()
    assert ("**72.0**" in paired, "**72.0**" in unpaired) == (False, True)
    assert "sample by sample" in paired
    assert "the test is unpaired" in unpaired
    assert (own_settings.cache / "told-apart.jsonl").is_file()
