"""What per-sample predictions promise, in a folder and in an object store alike."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.predictions import Classes, Rankings, Truth
from ssl_bench.results import samples as sample_files
from tests.places import Place
from tests.results.factory import make_record, make_task


def predictions(classes: int = 10, n: int = 500) -> dict[str, Any]:
    """Return the table of made-up predictions."""
    draw = np.random.default_rng(0)
    ranked = np.argsort(draw.random((n, classes)), axis=1)[:, :5]
    made = Classes(ranked, draw.random(n, dtype=np.float32))
    return made.table([f"a/{i}.png" for i in range(n)], Truth({"test": draw.integers(0, classes, n)}, classes))


@pytest.mark.parametrize("classes", [3, 10])
def test_samples_round_trip(place: Place, classes):
    """Per-sample predictions come back as they went in; tasks of fewer than five classes have shorter rankings."""
    results = place.results()
    given = predictions(classes)
    samples = results.put_samples(given)
    table = sample_files.read(results.files, samples)
    assert tuple(table) == samples.columns == tuple(given)
    assert table["sample_id"] == given["sample_id"]
    assert all(np.array_equal(table[name], given[name]) for name in given if name != "sample_id")
    assert (table["pred"] == given["top5"][:, 0]).all()


def test_lists_of_varying_length_round_trip(place: Place):
    """The places of a query's hits come back, none included."""
    order = np.array([[1, 2], [0, 2], [0, 1]], dtype=np.int32)
    made = Rankings(order).table(["a", "b", "c"], Truth({"test": np.array([0, 0, 1])}, 2))
    results = place.results()
    samples = results.put_samples(made)
    assert list(sample_files.read(results.files, samples)["hits"]) == [[0], [0], []]


def test_samples_are_named_by_content(place: Place):
    """Equal predictions are one file under one digest, and other predictions another."""
    results = place.results()
    first = results.put_samples(predictions())
    assert results.put_samples(predictions()) == first
    assert place.beside("other").results().put_samples(predictions()) == first
    changed = predictions()
    changed["confidence"][0] += 1
    assert results.put_samples(changed).sha256 != first.sha256
    assert len([name for name in place.files() if name.startswith("samples/")]) == 2


def test_samples_missing_or_damaged(place: Place):
    """Predictions that are not here, or not what the record names, are refused in one line."""
    results = place.results()
    record = make_record(task=make_task("cifar10", truncated=500))
    with pytest.raises(MissingError, match="per-sample predictions are not at"):
        results.read_samples(record)
    record = dataclasses.replace(record, samples=results.put_samples(predictions()))
    (name,) = place.files()
    place.write(name, b"PAR1")
    with pytest.raises(UsageError, match="does not match the file's name"):
        results.read_samples(record)
    hostile = dataclasses.replace(record, samples=dataclasses.replace(record.samples, sha256="../../x"))
    with pytest.raises(UsageError, match="no sha256"):
        results.read_samples(hostile)


def test_unequal_lengths(place: Place):
    """Predictions of unequal lengths are a mistake of the caller."""
    with pytest.raises(ValueError, match="lengths"):
        place.results().put_samples(predictions() | {"sample_id": ["a"]})
