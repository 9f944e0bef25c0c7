"""A bundle as a place of records."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.results.keeping import import_records
from ssl_bench.results.store import Results
from ssl_bench.submission import bundle, source
from tests.submission.factory import make_bundle, written


def test_records_and_predictions_are_imported_from_a_bundle(tmp_path: Path) -> None:
    """What is taken from a bundle is its records, byte by byte, and their predictions, which give their numbers."""
    given = bundle.read(written(tmp_path / "b.tar"))
    target = Results(tmp_path / "results")
    assert import_records(target, source.results(given))["stored"] == 2
    assert {record.to_text() for record in target.records()} == {record.to_text() for record in make_bundle().records}
    assert all(len(target.read_samples(record)["target"]) == 40 for record in target.records())
    assert import_records(target, source.results(given))["present"] == 2
