"""Records of detection, from a protocol's boxes to numbers that come out of the kept objects again."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, model_zoo
from ssl_bench.comparison.matching import Pair
from ssl_bench.comparison.testing import tell_apart
from ssl_bench.errors import IncomparableError, UsageError
from ssl_bench.jobs import Job
from ssl_bench.predictions import Detections, Found, Truth
from ssl_bench.progress import Progress
from ssl_bench.protocols import base
from ssl_bench.protocols.base import Answer, Trial
from ssl_bench.results import rescore
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.submission import claims, verifying
from tests import squares


@dataclasses.dataclass(frozen=True)
class Colours(base.Protocol):
    """Finds the pixels of either colour, `off` columns beside where they are."""

    version = 1
    deterministic = True
    kinds = ("detection",)
    off: int = 0

    def predict(self, trial: Trial) -> Answer:
        def said(image: np.ndarray, target: object, generator: np.random.Generator) -> Found:
            assert target is None
            boxes = []
            for label, channel in ((0, 0), (1, 2)):
                rows, columns = np.nonzero(image[..., channel] > 200)
                if len(rows):
                    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                    boxes.append((label, np.array(box) + np.array([self.off, 0, self.off, 0])))
            every = np.array([box for _, box in boxes], dtype=np.float64).reshape(-1, 4)
            labels = np.array([label for label, _ in boxes], dtype=np.int64)
            return Found(every, labels, np.linspace(0.9, 0.5, len(labels), dtype=np.float32))

        return Answer(Detections(list(trial.prepared("test", said, np.arange(trial.sizes["test"])))))


@pytest.fixture
def store(tmp_path: Path, own_settings: Settings) -> tuple[Results, list[Record]]:
    """A store, and the records of a finder that is right and of one that is a few columns off."""
    task = squares.card(squares.write(tmp_path / "squares"))
    runner = Runner(own_settings, Progress())
    jobs = [Job(model_zoo.get("pixels"), task, "colours", Colours(off), seed=0) for off in (0, 4)]
    outcome = runner.run(jobs, fail_fast=True)
    assert not outcome.failures, outcome.failures
    return runner.results, outcome.written


def test_the_numbers_come_out_of_the_objects_again(store: tuple[Results, list[Record]]) -> None:
    """Every figure of a record is what its kept objects give, of images that show none too."""
    results, records = store
    assert [round(record.headline.value, 6) for record in records] == [1, 1]
    assert [round(record.metrics["coco_ap75"].value, 6) for record in records] == [1, 0]
    for record in records:
        again = rescore.rescored(record, results.read_samples(record))
        assert again == {name: (value.value, value.n) for name, value in record.metrics.items()}
        assert [len(row) for row in results.read_samples(record)["true_label"]] == [2, 2, 2, 0]


def test_kept_objects_are_written_again_as_they_are(store: tuple[Results, list[Record]]) -> None:
    """What is read of a file of objects gives the same file, fractions and lists without any among them."""
    results, (record, _) = store
    assert results.put_samples(results.read_samples(record)) == record.samples


def test_numbers_that_are_a_little_off_are_refused(store: tuple[Results, list[Record]]) -> None:
    """A figure that the objects do not give is refused by its name."""
    results, (record, _) = store
    lie = dataclasses.replace(record.metrics["coco_ar10"], value=0.99)
    with pytest.raises(UsageError, match=r"metrics\.coco_ar10: .* is stated, but the predictions give"):
        results.read_samples(dataclasses.replace(record, metrics={**record.metrics, "coco_ar10": lie}))


def test_objects_that_cannot_be_are_refused(store: tuple[Results, list[Record]]) -> None:
    """Columns that do not fit one another are no predictions."""
    results, (record, _) = store
    table = dict(results.read_samples(record))
    for name in ("found_score", "found_box", "true_unused"):
        changed = {**table, name: [row[:-1] for row in table[name]]}
        (said, *_) = rescore.contradictions(record, changed)
        assert "not what their columns tell" in said


def test_two_runs_are_told_apart_on_shared_resamples_of_images(store: tuple[Results, list[Record]]) -> None:
    """The difference of two records' figures is paired by image; other objects on the two sides are refused."""
    results, (first, second) = store
    found = tell_apart(Pair((second,), (first,)), results.read_samples, results.read_samples)
    assert found.paired
    assert found.difference.delta == pytest.approx(first.headline.value - second.headline.value)

    def other(record: Record) -> dict[str, object]:
        table = dict(results.read_samples(record))
        return {**table, "true_label": [row[::-1] for row in table["true_label"]]}

    with pytest.raises(IncomparableError, match="labels: 3 of 4 samples have another label"):
        tell_apart(Pair((second,), (first,)), results.read_samples, other)


def test_objects_of_a_claim_are_held_against_the_verifiers_own(
    store: tuple[Results, list[Record]], tmp_path: Path
) -> None:
    """Boxes that are said to be found are compared with the verifier's objects once more, image by image."""
    results, (_, record) = store
    (claim,) = claims.of_records(results, [record.record_id])
    splits = datasets.load(squares.card(tmp_path / "squares"), tmp_path)
    truth = Truth({"test": splits["test"].labels}, 2, {"test": splits["test"].ids}, dense=splits["test"].targets)
    own = verifying.Own(record.task.digest, splits["test"].ids, truth)
    *_, said = verifying.rescored(claim, lambda _: own)
    assert (said.what, said.outcome) == ("targets", "agrees")
    other = dataclasses.replace(own, truth=dataclasses.replace(truth, dense=splits["train"].take([0, 1, 2, 3]).targets))
    *_, said = verifying.rescored(claim, lambda _: other)
    assert (said.what, said.outcome) == ("targets", "disagrees")
    assert "of 3 of 4 images the objects" in said.said
