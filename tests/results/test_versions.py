"""What readers promise of other versions of the schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import ssl_bench
from ssl_bench.errors import UsageError
from ssl_bench.results import migrations
from ssl_bench.results.record import SCHEMA, Record
from tests.results.factory import forged, make_full_record

HERE = Path(__file__).parent / "versions"
COMMITTED = sorted((Path(ssl_bench.__file__).parent.parent / "results").glob("*.jsonl"))


def test_the_fixtures_are_of_every_version() -> None:
    """There is a record of every minor version that can be read."""
    versions = {json.loads(path.read_text())["schema"] for path in HERE.glob("*.json")}
    assert versions == {
        "ssl-bench.record/1",
        *(f"ssl-bench.record/1.{minor}" for minor in range(1, migrations.MINOR + 1)),
    }
    assert f"ssl-bench.record/1.{migrations.MINOR}" == SCHEMA


@pytest.mark.parametrize("path", sorted(HERE.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_keeps_the_bytes_of_the_version_that_wrote_it(path: Path) -> None:
    """A record of an older version reads as one of today, with the ceilings of its shares, and writes its old bytes."""
    record = Record.read(path)
    assert record.schema == SCHEMA
    assert f"{record.to_text()}\n".encode() == path.read_bytes()
    assert record.to_json() == json.loads(path.read_text())
    assert record.content_digest == json.loads(path.read_text())["content_digest"]
    assert record.definition("top1").ceiling == 1.0


def test_steps_are_pure() -> None:
    """Lifting a record leaves the given one as it was, and lifting what is no record does not fail."""
    body = json.loads((HERE / "1.json").read_text())
    before = json.dumps(body)
    assert migrations.lifted(body, 0)["task"]["metrics"]["top1"]["ceiling"] == 1.0
    assert json.dumps(body) == before
    for task in (None, 3, {"metrics": []}, {"metrics": {"top1": 3}}):
        assert migrations.lifted({"task": task}, 0)["task"] == task


def later_minor(body: dict[str, Any]) -> dict[str, Any]:
    """Return a record as a later minor version may write it: with more fields, at every level."""
    body["schema"] = f"ssl-bench.record/1.{migrations.MINOR + 8}"
    body["mood"] = {"good": True}
    body["task"]["weather"] = [1, 2.0]
    body["metrics"]["top1"]["interval"]["skew"] = 0.5
    body["task"]["metrics"]["top1"]["floor"] = None
    return forged(body)


def test_a_later_minor_version_is_read_and_kept() -> None:
    """What a later minor version added is left aside in reading and kept in the text, and the digest still holds."""
    body = later_minor(json.loads(make_full_record().to_text()))
    record = Record.from_json(body, "x")
    assert record.headline == make_full_record().headline
    assert record.record_id == make_full_record().record_id
    assert json.loads(record.to_text()) == body
    body["mood"]["good"] = False
    with pytest.raises(UsageError, match="content_digest does not match"):
        Record.from_json(body, "x")


def test_unknown_fields_of_this_version_are_refused() -> None:
    """A field that this version should know and does not is refused: it is misspelt, or of nobody."""
    body = later_minor(json.loads(make_full_record().to_text()))
    body["schema"] = SCHEMA
    with pytest.raises(UsageError, match=r"x: task\.weather is not a field|x: metrics\.top1|x: mood is not a field"):
        Record.from_json(forged(body), "x")


def test_a_newer_major_version_is_refused_in_one_line() -> None:
    """A newer major version is refused in one line that says what to do, whatever else is in it."""
    with pytest.raises(
        UsageError, match=r"^x: schema is 'ssl-bench.record/2': made by a newer ssl-bench; upgrade"
    ) as said:
        Record.from_json({"schema": "ssl-bench.record/2", "all": "new"}, "x")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_the_committed_records_are_read_and_written_as_they_are(path: Path) -> None:
    """Every committed record reads, and writes the bytes that are committed."""
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        record = Record.from_text(line, f"{path.name}:{number}")
        assert record.to_text().encode() == line
        assert record.record_id == json.loads(line)["record_id"]
