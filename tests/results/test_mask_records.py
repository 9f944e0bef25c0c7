"""Records of segmentation, from a protocol's maps to numbers that come out of the kept pixels again."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, metrics, model_zoo
from ssl_bench.comparison.matching import Pair
from ssl_bench.comparison.testing import tell_apart
from ssl_bench.errors import UsageError
from ssl_bench.jobs import Job
from ssl_bench.predictions import LabelMaps, Truth
from ssl_bench.predictions.spool import Spool
from ssl_bench.progress import Progress
from ssl_bench.protocols import base
from ssl_bench.protocols.base import Answer, Trial
from ssl_bench.results import rescore
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.submission import claims, verifying
from tests import scenes
from tests.cli.conftest import Command, command

__all__ = ["command"]


@dataclasses.dataclass(frozen=True)
class Horizon(base.Protocol):
    """Says the class 1 below a row, and 0 above, whatever an image shows."""

    version = 1
    deterministic = True
    kinds = ("segmentation",)
    row: int = 16

    def predict(self, trial: Trial) -> Answer:
        maps = Spool()

        def said(image: np.ndarray, target: object, generator: np.random.Generator) -> np.ndarray:
            assert target is None
            labels = np.zeros(image.shape[:2], dtype=np.uint8)
            labels[self.row :] = 1
            return labels

        for one in trial.prepared("test", said, np.arange(trial.sizes["test"])):
            maps.append(one)
        return Answer(LabelMaps(maps))


@pytest.fixture
def store(tmp_path: Path, own_settings: Settings) -> tuple[Results, list[Record]]:
    """A store, and the records of two horizons."""
    task = scenes.card(scenes.write(tmp_path / "scenes"))
    runner = Runner(own_settings, Progress())
    pixels = model_zoo.get("pixels")
    jobs = [Job(pixels, task, "horizon", Horizon(row), seed=0) for row in (16, 4)]
    outcome = runner.run(jobs, fail_fast=True)
    assert not outcome.failures, outcome.failures
    return runner.results, outcome.written


def test_the_numbers_come_out_of_the_pixels_again(store: tuple[Results, list[Record]]) -> None:
    """A record has the mean and each class's intersection over the union, and the kept pixels give all of them."""
    results, (record, _) = store
    assert record.task.metric == "miou"
    assert set(record.metrics) == {
        *("miou", "macc", "aacc", "boundary_iou"),
        *("sky/iou", "ground/iou", "a box/iou"),
    }
    classes = [record.metrics[f"{name}/iou"].value for name in ("sky", "ground", "a box")]
    assert record.headline.value == pytest.approx(np.mean(classes))
    assert classes[2] == 0
    again = rescore.rescored(record, results.read_samples(record))
    assert again == {name: (value.value, value.n) for name, value in record.metrics.items()}
    table = results.read_samples(record)
    assert table["true_pixels"].sum() == sum(
        28 * 48 + n % 3 * 48 for n in range(100, 104)
    )  # the void is 2 columns wide


def test_numbers_that_are_a_little_off_are_refused(store: tuple[Results, list[Record]]) -> None:
    """A mean, a class's own figure or an interval that the pixels do not give is refused by its name."""
    results, (record, _) = store
    for name in ("aacc", "ground/iou"):
        lie = dataclasses.replace(record.metrics[name], value=record.metrics[name].value - 2e-3, interval=None)
        with pytest.raises(UsageError, match=rf"metrics\.{name}: .* is stated, but the predictions give"):
            results.read_samples(dataclasses.replace(record, metrics={**record.metrics, name: lie}))
    interval = record.headline.interval
    assert interval is not None
    narrow = dataclasses.replace(interval, low=record.headline.value)
    lie = dataclasses.replace(record.headline, interval=narrow)
    with pytest.raises(UsageError, match=r"metrics\.miou: .* as its interval"):
        results.read_samples(dataclasses.replace(record, metrics={**record.metrics, "miou": lie}))


def test_pixels_that_no_maps_have_are_refused(store: tuple[Results, list[Record]]) -> None:
    """More shared pixels than true ones, fewer than none and columns of another width are no predictions."""
    results, (record, _) = store
    table = dict(results.read_samples(record))
    for name, pixels in (
        ("shared_pixels", table["true_pixels"] + 1),
        ("said_edge_pixels", -table["said_edge_pixels"]),
        ("true_pixels", table["true_pixels"][:, :2]),
        ("said_pixels", table["true_pixels"].astype(np.float64)),
    ):
        changed = {key: pixels if key == name else column for key, column in table.items()}
        (said, *_) = rescore.contradictions(record, changed)
        assert "not what their columns tell" in said


def test_two_runs_are_told_apart_on_shared_resamples_of_images(store: tuple[Results, list[Record]]) -> None:
    """The difference of two records' mIoU is that of their values, its interval paired by image."""
    results, (first, second) = store
    found = tell_apart(Pair((second,), (first,)), results.read_samples, results.read_samples)
    assert found.paired
    assert found.difference.delta == pytest.approx(first.headline.value - second.headline.value)
    assert found.difference.low < found.difference.delta < found.difference.high
    assert metrics.get("miou").higher_is_better


def test_masks_of_a_claim_are_held_against_the_verifiers_own(
    store: tuple[Results, list[Record]], tmp_path: Path
) -> None:
    """Pixels that are said to be true are compared with the verifier's masks, image by image."""
    results, (record, _) = store
    (claim,) = claims.of_records(results, [record.record_id])
    splits = datasets.load(scenes.card(tmp_path / "scenes"), tmp_path)
    truth = Truth({"test": splits["test"].labels}, 3, {"test": splits["test"].ids}, dense=splits["test"].targets)
    own = verifying.Own(record.task.digest, splits["test"].ids, truth)
    *_, said = verifying.rescored(claim, lambda _: own)
    assert (said.what, said.outcome) == ("targets", "agrees")
    other = dataclasses.replace(own, truth=dataclasses.replace(truth, dense=splits["train"].take([0, 1, 2, 3]).targets))
    *_, said = verifying.rescored(claim, lambda _: other)
    assert (said.what, said.outcome) == ("targets", "disagrees")
    assert "4 of 4 targets are not the data's" in said.said


def test_a_protocol_that_cannot_ask_masks_names_those_that_can(command: Command, tmp_path: Path) -> None:
    """A run of masks without a protocol, which would be that of labels, is told which protocols there are for them."""
    folder = scenes.write(tmp_path / "own")
    (folder / "classes.txt").write_text("sky\nground\nbox\n")
    said = command("run", "-m", "random", "--data", folder)
    assert said.code == 2
    assert "knn cannot ask the task 'own', which is of the kind 'segmentation'" in said.err
    assert re.search(r"Those that can: --protocol .*segmentation_linear", said.err)
