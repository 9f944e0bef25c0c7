"""No traceback and no accepted lie: what strangers' files may do to reading."""

from __future__ import annotations

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_bench.errors import SslBenchError, UsageError
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.results.factory import forged, make_full_record, make_record, make_scored_record
from tests.results.test_schema import VALUES, mutated, places

GOOD = make_full_record().to_text()
ODD = st.sampled_from(
    ["NaN", "-Infinity", "1e999", "9" * 5000, "[" * 3000, "{" * 5, '"\\ud800"', '"\\u0000"', "null", "\ufeff"]
)


def read(text: str | bytes) -> Record | None:
    """Return the record, or None where reading refuses it in one short line; anything else fails the test."""
    try:
        return Record.from_text(text, "x.json")
    except SslBenchError as error:
        said = str(error)
    assert said.startswith("x.json: ")
    assert len(said.splitlines()) == 1
    assert len(said) < 1000
    return None


@given(st.binary(max_size=300))
def test_any_bytes(content: bytes) -> None:
    """No bytes that are no record are taken for one."""
    assert read(content) is None


@settings(max_examples=400)
@given(st.data())
def test_a_damaged_text(data: st.DataObject) -> None:
    """A record's text with a part overwritten, cut or doubled is refused, unless it says the same."""
    start = data.draw(st.integers(0, len(GOOD) - 1))
    stop = data.draw(st.integers(start, min(len(GOOD), start + 40)))
    put = data.draw(st.text(max_size=5) | ODD | st.just(GOOD[start:stop] * 2))
    record = read((GOOD[:start] + put + GOOD[stop:]).encode("utf-8", "surrogatepass"))
    assert record is None or record.to_text() == GOOD


@settings(max_examples=400)
@given(mutated())
def test_a_changed_record_is_refused(body: dict[str, Any]) -> None:
    """A record whose values were changed and whose digests were not is refused, unless it says the same."""
    record = read(json.dumps(body))
    originals = (GOOD, make_record().to_text())
    assert record is None or record.to_text() in originals


@st.composite
def lies(draw: st.DrawFn) -> dict[str, Any]:
    """Give a record with one or two other values, and with digests that fit them."""
    body = json.loads(GOOD)
    for _ in range(draw(st.integers(1, 2))):
        part = draw(st.sampled_from(["metrics", "task", "samples", "protocol", "timing"]))
        holder, key = draw(st.sampled_from(places(body[part])))
        old = holder[key]
        near = (
            st.floats(-2, 2) if isinstance(old, float) else st.integers(-3, 20_000) if isinstance(old, int) else VALUES
        )
        holder[key] = draw(near | VALUES)
    return body


@settings(max_examples=600)
@given(lies())
def test_no_lie_that_a_record_itself_tells_is_taken(body: dict[str, Any]) -> None:
    """With whatever digests: the numbers of a record that is taken lie in range and interval, and fit together."""
    try:
        text = json.dumps(forged(body))
    except (KeyError, TypeError, AttributeError):
        return  # the forger has to keep the form
    record = read(text)
    if record is None:
        return
    for name, metric in record.metrics.items():
        definition = record.task.metrics[name.rpartition("/")[2]]
        assert definition.low <= metric.value <= definition.high
        assert definition.unit != "fraction" or 0 <= metric.value <= 1
        assert metric.interval is None or metric.interval.low <= metric.value <= metric.interval.high
        assert record.task.truncated or metric.n == record.task.samples["test"] == record.samples.n
    if {"top1", "top5"} <= record.metrics.keys():
        assert record.metrics["top5"].value >= record.metrics["top1"].value
    assert not {"top1", "top5"} & record.metrics.keys() or record.definition("top1").higher_is_better
    assert all(value >= 0 for value in record.timing.values())


@settings(max_examples=60)
@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([GOOD.encode(), GOOD[:-9].encode(), b"{}", b"\xff", b"[1]"]),
        max_size=5,
    )
)
def test_a_store_of_foreign_files(tmp_path_factory: pytest.TempPathFactory, files: list[bytes]) -> None:
    """Every file that is no record is listed by its name, and the records beside it are read."""
    results = Results(tmp_path_factory.mktemp("store"))
    results.put(make_record("other"))
    folder = results.root / "some" / "task"
    folder.mkdir(parents=True)
    for i, content in enumerate(files):
        (folder / f"{i}.json").write_bytes(content)
    good = sum(content == GOOD.encode() for content in files)
    assert len(results.records()) == 1 + bool(good)
    named = {Path(skipped.where).name for skipped in results.skipped}
    assert named == {f"{i}.json" for i, content in enumerate(files) if content != GOOD.encode()}


@settings(max_examples=60)
@given(st.data())
def test_predictions_disprove_a_lie(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Where the predictions are at hand, no other value, n or order of samples than theirs is put or read."""
    results = Results(tmp_path_factory.mktemp("store"))
    honest = make_scored_record(results, right=data.draw(st.integers(1, 39)))
    results.put(honest)
    name = data.draw(st.sampled_from(["top1", "top5"]))
    value = data.draw(st.integers(0, 40)) / 40
    told = honest.metrics[name]
    lie = dataclasses.replace(told, value=value, interval=None)
    try:
        liar = dataclasses.replace(honest, metrics={**honest.metrics, name: lie})
    except UsageError:
        return  # it belies itself already
    if value == told.value:
        results.read_samples(liar)
    else:
        for take in (results.put, results.read_samples):
            with pytest.raises(UsageError, match=rf"metrics\.{name}: .* is stated, but the predictions give"):
                take(liar)


@pytest.mark.parametrize("where", ["recipe", "arch"])
def test_deep_nesting(where: str) -> None:
    """What is nested deeper than any real record is refused, at whatever depth."""
    for depth in (39, 45, 500, 900, 5000):
        body = copy.deepcopy(json.loads(GOOD))
        holder = body["protocol"] if where == "recipe" else body["model"]
        holder[where] = "HERE"
        text = json.dumps(body).replace('"HERE"', '{"a":' * depth + "1" + "}" * depth)
        with pytest.raises(UsageError, match="nested too deeply" if depth > 40 else "does not match"):
            Record.from_text(text, "x.json")


def test_numbers_beyond_any() -> None:
    """A number that overflows is refused wherever it stands, also in a field that a later version added."""
    for old in (
        '"seed":0',
        '"max_iter":1000',
        '"value":0.75',
        '"images_per_second":4800.0',
        '"n":10000',
        '"level":0.95',
    ):
        for number in ("1e999", "-1e999", "9" * 400, "9" * 5000):
            assert read(GOOD.replace(old, f"{old.partition(':')[0]}:{number}", 1)) is None
    later = GOOD.replace('"ssl-bench.record/1.1"', '"ssl-bench.record/1.9"')
    for value in ("1e999", '"\\ud800"'):
        assert read(later.replace('"seed":0', f'"seed":0,"sown":{value}')) is None


def test_a_key_that_stands_twice() -> None:
    """Of a key that stands twice readers might take either value, so it is refused, even where both are equal."""
    for text in (GOOD.replace('"seed":0', '"seed":0,"seed":0'), GOOD.replace('"n":10000', '"n":1,"n":10000', 1)):
        with pytest.raises(UsageError, match="holds one key twice"):
            Record.from_text(text, "x.json")
