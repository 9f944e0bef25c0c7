"""What a record promises."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json, digest_json
from ssl_bench.results.record import Interval, MetricValue, Record, Samples, record_id
from tests.results.factory import make_metric, make_model, make_protocol, make_record, make_task


def edited(record: Record, *path: str, value: object) -> str:
    """Return the record's JSON with one value replaced."""
    body = json.loads(record.to_text())
    inner = body
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(body)


@pytest.mark.parametrize("protocol", ["knn", "logistic_regression"])
def test_round_trip(protocol):
    """A record read back from its own text equals the record and gives the same text."""
    record = make_record(protocol=protocol)
    again = Record.from_text(record.to_text(), "x.json")
    assert again == record
    assert again.to_text() == record.to_text()


def test_whole_numbers_in_float_fields():
    """A float field that is given 1 and one that is given 1.0 have the same digests, also if another tool wrote it."""
    whole, decimal = (dataclasses.replace(make_record(), timing={"protocol_seconds": seconds}) for seconds in (1, 1.0))
    assert whole.content_digest == decimal.content_digest
    text = decimal.to_text()
    assert '"protocol_seconds":1.0' in text
    assert Record.from_text(text.replace('"protocol_seconds":1.0', '"protocol_seconds":1'), "x") == decimal


def test_recipe_types():
    """A recipe keeps its types: k = 1 and k = 1.0 are two questions."""
    one, other = (make_record(protocol=make_protocol("knn", {"k": k})) for k in (1, 1.0))
    assert one.question != other.question
    assert Record.from_text(one.to_text(), "x").protocol.recipe == {"k": 1}
    assert type(Record.from_text(one.to_text(), "x").protocol.recipe["k"]) is int


def test_numpy_values():
    """NumPy's scalars and arrays in free fields become plain values."""
    recipe = {"C": np.array([0.5, 1.0]), "k": np.int64(3), "t": np.float32(0.5), "ks": (1, 2)}
    record = make_record(protocol=make_protocol("x", recipe))
    assert record.protocol.recipe == {"C": [0.5, 1.0], "k": 3, "t": 0.5, "ks": [1, 2]}
    assert Record.from_text(record.to_text(), "x") == record


def test_identity():
    """The identity holds weights, features, task, protocol and seed, and neither name nor machine nor time."""
    record = make_record()
    same = dataclasses.replace(
        record, model=dataclasses.replace(record.model, name="other"), environment={}, created="2027-01-01T00:00:00Z"
    )
    assert same.record_id == record.record_id
    for other in (
        make_record(model=make_model(weights="other")),
        make_record(size=96),
        make_record(task=make_task("cifar10", version=2)),
        make_record(protocol=make_protocol("knn", {"k": 10, "temperature": 0.07})),
        make_record(seed=1),
        make_record(task=make_task("cifar10", truncated=100)),
    ):
        assert other.record_id != record.record_id


def test_identity_before_the_run():
    """A plan can know a record's identity before anything is computed."""
    record = make_record()
    planned = record_id(
        weights_digest=record.model.weights_digest,
        arch=record.model.arch,
        features={"requested": record.features.requested, "resolved": record.features.resolved},
        task_digest=record.task.digest,
        protocol={"name": "knn", "version": 1, "recipe": record.protocol.recipe},
        seed=0,
        truncated=0,
    )
    assert planned == record.record_id


def test_question():
    """Models, seeds and resolved inputs share a question; recipe, task and requested features do not."""
    record = make_record()
    assert make_record("other", seed=3, size=96).question == record.question
    assert make_record(pooled="cls").question != record.question
    assert make_record("other", "dtd").question != record.question


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metrics": {"top5": make_metric(0.9, 10_000)}}, "headline metric 'top1' is missing"),
        ({"metrics": {"top1": make_metric(0.5, 100)}}, "metrics.top1: n is 100, but the test split has 10000"),
        ({"metrics": {"top1": MetricValue(1.5, 10_000)}}, "1.5 is outside 0.0..1.0"),
        (
            {"metrics": {"top1": MetricValue(0.5, 10_000, Interval(0.6, 0.7, 0.95, "wilson"))}},
            "0.5 is outside its interval 0.6..0.7",
        ),
        (
            {"metrics": {"top1": make_metric(0.5, 10_000), "top5": make_metric(0.4, 10_000)}},
            "metrics.top5: 0.4 is below the 0.5 of top1",
        ),
        ({"metrics": {"top1": make_metric(0.5, 10_000), "iou": make_metric(0.5, 10_000)}}, "does not define 'iou'"),
        ({"samples": Samples("0" * 64, 5, ())}, "samples.n is 5"),
        ({"timing": {"extract_seconds": float("nan")}}, "timing.extract_seconds is nan"),
        ({"environment": {"flags": {"a": [float("inf")]}}}, r"environment.flags.a\[0\] is inf"),
        ({"environment": {"x": object()}}, "environment.x holds a object"),
        ({"seed": 1.5}, "seed must be a whole number"),
    ],
)
def test_contradictions(change, message):
    """A record that contradicts itself or holds what JSON cannot is refused when it is made, naming the field."""
    with pytest.raises(UsageError, match=message):
        dataclasses.replace(make_record(), **change)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("schema",), "ssl-bench.record/2", "made by a newer ssl-bench; upgrade"),
        (("schema",), "ssl-bench.record/2.4", "made by a newer ssl-bench; upgrade"),
        (("schema",), "ssl-bench.record/0", "not a record of ssl-bench"),
        (("schema",), "other.record/1", "not a record of ssl-bench"),
        (("schema",), None, "not a record of ssl-bench"),
        (("metrics", "top1", "value"), "0.75", "metrics.top1.value must be a number, not '0.75'"),
        (("metrics", "top1", "value"), 0.751, "content_digest does not match"),
        (("metrics", "top1", "value"), 7.0, "7.0 is outside 0.0..1.0"),
        (("protocol", "recipe"), {"k": 10}, "record_id does not match"),
        (("seed",), 1.5, "seed must be a whole number"),
        (("nonsense",), 1, "nonsense is not a field"),
        (("model", "title"), "\ud800", "half a character"),
    ],
)
def test_damaged(path, value, message):
    """A foreign, newer, edited or damaged file gives one line that names the file and the field."""
    with pytest.raises(UsageError, match=r"^x\.json: ") as caught:
        Record.from_text(edited(make_record(), *path, value=value), "x.json")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not whole JSON"),
        (make_record().to_text()[:900], "not whole JSON"),
        ("[1]", "JSON of another kind"),
        ('{"schema": NaN}', "holds NaN"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_not_json(text, message):
    """What is not one JSON object is refused in one line."""
    with pytest.raises(UsageError, match=message):
        Record.from_text(text, "x.json")


def test_missing_field(tmp_path: Path):
    """A record file without a field is refused by file and field."""
    body = json.loads(make_record().to_text())
    del body["task"]["digest"]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(body))
    with pytest.raises(UsageError, match=r"a\.json: task\.digest is missing"):
        Record.read(path)


def test_canonical():
    """A record's text has sorted keys, no spaces and no line break."""
    text = make_record().to_text()
    assert text == canonical_json(json.loads(text))
    assert "\n" not in text


@pytest.mark.parametrize("protocol", ["knn", "logistic_regression"])
def test_text_in_parts(protocol):
    """The text that is put together from shared blocks is the canonical JSON of the whole."""
    record = make_record(make_model('"quoted" \u2028 é'), protocol=protocol)
    assert record.to_text() == canonical_json(record.to_json())
    body = {key: value for key, value in record.to_json().items() if key != "content_digest"}
    assert record.content_digest == digest_json(body)
