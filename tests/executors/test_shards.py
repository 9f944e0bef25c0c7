"""Shards: every image in exactly one, and every feature the same to its last bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies
from numpy.typing import NDArray

from ssl_bench import shards
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.executors.conftest import PIXELS, VIT, Make, Planned


def digests(images: list[int]) -> NDArray[np.uint8]:
    """Return a digest for every number."""
    return np.array([[number] * 32 for number in images], dtype=np.uint8).reshape(-1, 32)


@hypothesis.given(
    train=strategies.lists(strategies.integers(0, 40), max_size=60),
    test=strategies.lists(strategies.integers(0, 40), max_size=30),
    unit=strategies.integers(1, 9),
    count=strategies.integers(1, 7),
)
def test_shards_hold_every_image_once_and_cut_no_unit(train: list[int], test: list[int], unit: int, count: int) -> None:
    """Whatever the number of shards, their images in their order are those of one shard, cut between whole units."""
    both = {"train": digests(train), "test": digests(test)}
    whole = shards.positions(both, ("train", "test"), unit, (0, 1))
    parts = [shards.positions(both, ("train", "test"), unit, (number, count)) for number in range(count)]
    for split, images in (("train", train), ("test", test)):
        joined = [part[split] for part in parts if split in part]
        assert np.array_equal(np.concatenate([*joined, np.empty(0, int)]), whole.get(split, np.empty(0, int)))
        start = 0
        for part in joined:
            assert start % unit == 0
            start += len(part)
            assert [images[i] for i in part] == list(dict.fromkeys(images[i] for i in part))
    chosen = [train[i] for i in whole.get("train", ())] + [test[i] for i in whole.get("test", ())]
    assert sorted(chosen) == sorted({*train, *test})


def features(planned: Planned) -> dict[bytes, bytes]:
    """Return every cached feature, image to bytes, by feature key and image."""
    found = {}
    for marker in sorted((planned.settings.cache / "features").glob("??/*/*.images.npy")):
        rows = np.load(marker.with_name(marker.name.replace(".images.", ".features.")))
        for name, row in zip(np.load(marker), rows, strict=True):
            key = marker.parent.name.encode() + name.tobytes()
            assert found.setdefault(key, row.tobytes()) == row.tobytes()
    return found


def said(record: Record) -> tuple[object, ...]:
    """Return what a record says was measured."""
    values = {name: dataclasses.astuple(value) for name, value in record.metrics.items()}
    return record.record_id, values, record.samples.sha256, record.protocol.selected


def test_any_number_of_shards_gives_the_same_bits(make: Make) -> None:
    """1, 2 and 5 shards, done in any order, give the same features and the same records, bit for bit."""
    told, kept = [], []
    protocols = ("knn", "logistic_regression,c_steps=3", "label_free,c_steps=1,c_low=-2")
    for count, size in ((1, 10**6), (2, 450), (5, 180)):
        # 360 of train and test, in batches of 64, and 180 of val, which is in no view but the plain one
        planned = make(VIT, name=str(count), protocols=protocols, shard_images=size, batch_size=64, limit=360)
        jobs = planned.work.plan.jobs
        assert [job.kind for job in jobs] == ["extract"] * count + ["probe"]
        order = [*np.random.default_rng(count).permutation(count).tolist(), count]
        reports = planned.do(order)
        assert not any(report["errors"] for report in reports)
        assert sum(report["images"] for report in reports[:-1]) == 4 * 720 + 180
        assert reports[-1]["images"] == 0
        told.append(sorted(map(said, Results(planned.settings.results).records())))
        kept.append(features(planned))
    assert kept[0] == kept[1] == kept[2]
    assert told[0] == told[1] == told[2]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("model", ["cifar_resnet20", "shufflenetv2_05", "galileo_nano"])
def test_real_networks_on_real_images_give_the_same_bits(make: Make, model: str, real_data: Path) -> None:
    """Of checkpoints on photographs, shards give the features of one pass over all, bit for bit."""
    kept = []
    for size in (10**6, 130):
        task = {"task": "caltech101_1414", "limit": 300}
        planned = make(model, name=str(size), shard_images=size, batch_size=64, workers=0, **task)
        reports = planned.do(range(len(planned.work.plan.jobs) - 1))
        assert (len(reports) > 2) is (size == 130)
        assert not any(report["errors"] for report in reports)
        kept.append(features(planned))
    assert kept[0] == kept[1]


def test_a_lost_shard_costs_time_and_nothing_else(make: Make) -> None:
    """A probe whose features lack a shard extracts them itself, and says what all shards would have said."""
    whole = make(VIT, name="whole", shard_images=360)
    whole.do()
    lacking = make(VIT, name="lacking", shard_images=360)
    reports = lacking.do([4, 1, 5])
    assert reports[-1]["images"] > 0
    assert features(lacking) == features(whole)
    [ours], [theirs] = (Results(planned.settings.results).records() for planned in (lacking, whole))
    assert said(ours) == said(theirs)


def test_a_model_that_says_nothing_extracts_nothing(make: Make) -> None:
    """An extract job of a control without features ends at once, and its probe makes the record."""
    planned = make("majority", PIXELS)
    reports = planned.do()
    assert [report["images"] for report in reports] == [0, 0, 1617, 0]
    assert len(Results(planned.settings.results).records()) == 2
