"""VTAB-1k as google-research/task_adaptation defines it and TensorFlow Datasets orders it."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import splits, table
from ssl_bench.datasets.base import Split
from ssl_bench.errors import MissingError

SUITE = tasks.get_suite("vtab1k")
FULL = tasks.get_suite("vtab")


def test_suite() -> None:
    """The suite has VTAB's 19 tasks, 7 natural, 4 specialized and 8 structured, and the plain mean over all."""
    assert {group: len(names) for group, names in SUITE.groups.items()} == {
        "natural": 7,
        "specialized": 4,
        "structured": 8,
    }
    assert len(SUITE.tasks) == 19
    assert SUITE.aggregate == "vtab.mean19@1"
    assert set(SUITE.tasks) == {name for name in tasks.names() if name.startswith("vtab1k_")}
    assert set(FULL.tasks) == {name for name in tasks.names() if name.startswith("vtab_")}


def test_full_suite() -> None:
    """VTAB's two suites ask the same tasks in the same groups and order, of all or of 1,000 labelled images."""
    renamed = {
        group: tuple(name.replace("vtab1k_", "vtab_") for name in names) for group, names in SUITE.groups.items()
    }
    assert FULL.groups == renamed
    assert (FULL.input, FULL.aggregate, FULL.protocols) == (SUITE.input, SUITE.aggregate, SUITE.protocols)


@pytest.mark.parametrize("name", SUITE.tasks)
def test_full_task(name: str) -> None:
    """A task of full VTAB is that of VTAB-1k but for its splits and its words: source, labels, test and metric."""
    few, full = tasks.get(name), tasks.get(name.replace("vtab1k_", "vtab_"))
    assert (full.reader, full.classes, full.metric) == (few.reader, few.classes, few.metric)
    assert (full.class_names, full.prompts) == (few.class_names, few.prompts)
    assert (full.splits.order, full.splits.key, full.splits.test) == (few.splits.order, few.splits.key, few.splits.test)
    if name != "vtab1k_caltech101":  # its splits are the user's list, so each suite has its own
        assert full.data == few.data
        assert dataclasses.replace(full.source, samples={}) == dataclasses.replace(few.source, samples={})


@pytest.mark.parametrize("name", ["vtab", "vtab1k"])
def test_auto(name: str) -> None:
    """VTAB's automatic suites are the 15 tasks that need no account and no list of one's own, in the same groups."""
    auto, whole = tasks.get_suite(f"{name}_auto"), tasks.get_suite(name)
    left = {f"{name}_{task}" for task in ("caltech101", "sun397", "resisc45", "retinopathy")}
    assert set(auto.tasks) == set(whole.tasks) - left
    assert all(set(auto.groups[group]) <= set(whole.groups[group]) for group in whole.groups)
    assert (auto.input, auto.protocols) == (whole.input, whole.protocols)
    assert auto.aggregate == "mean_of_tasks@1"


CLASSES = {
    "caltech101": 102,
    "cifar100": 100,
    "dtd": 47,
    "flowers102": 102,
    "pets": 37,
    "sun397": 397,
    "svhn": 10,
    "eurosat": 10,
    "patch_camelyon": 2,
    "resisc45": 45,
    "retinopathy": 5,
    "clevr_count": 8,
    "clevr_distance": 6,
    "dmlab": 6,
    "dsprites_location": 16,
    "dsprites_orientation": 16,
    "kitti_distance": 4,
    "smallnorb_azimuth": 18,
    "smallnorb_elevation": 9,
}


@pytest.mark.parametrize("name", SUITE.tasks)
def test_task(name: str, tmp_path: Path) -> None:
    """Each task has VTAB's number of classes and its metric, top-1, and says what is missing, its size and a step."""
    card = tasks.get(name)
    assert card.classes == CLASSES[name.removeprefix("vtab1k_")]
    assert card.metric == "top1"
    assert card.title.startswith("VTAB-1k: ")
    with pytest.raises(MissingError, match=rf"task '{name}': there is no .*Get it \([\d.]+ [MG]B\): .{{20}}"):
        datasets.locate(card, tmp_path)


KEYS = [
    ("cifar100", "train", "7", "train7"),
    ("cifar100", "test", "7", "test7"),
    ("dtd", "val", "banded/banded_0002.jpg", "validationbanded/banded_0002.jpg"),
    ("flowers102", "val", "image_00001.jpg", "validationimage_00001.jpg"),
    ("pets", "train", "Abyssinian_100.jpg", "trainAbyssinian_100.jpg"),
    ("sun397", "train", "/a/abbey/sun_a.jpg", "train/a/abbey/sun_a.jpg"),
    ("sun397", "val", "/a/abbey/sun_a.jpg", "validation/a/abbey/sun_a.jpg"),
    ("svhn", "train", "7", "train7"),
    ("eurosat", "train", "Forest/Forest_687.jpg", "trainForest_Forest_687.jpg"),
    ("patch_camelyon", "train", "train_7", "traintrain_7"),
    ("patch_camelyon", "val", "valid_7", "validationvalid_7"),
    ("resisc45", "train", "airport/airport_001.jpg", "trainairport_airport_001.jpg"),
    ("retinopathy", "val", "10_left", "validation10_left"),
    ("clevr_count", "train", "CLEVR_train_000000.png", "trainCLEVR_train_000000.png"),
    ("clevr_distance", "val", "CLEVR_val_000000.png", "validationCLEVR_val_000000.png"),
    ("dmlab", "val", "name", "validationname"),
    ("dsprites_location", "train", "7", "train7"),
    ("dsprites_orientation", "train", "7", "train7"),
    ("kitti_distance", "val", "000000.png", "validation000000.png"),
    ("smallnorb_azimuth", "test", "7", "test7"),
    ("smallnorb_elevation", "train", "7", "train7"),
]
"""Task, split, a sample's id, and what TensorFlow Datasets hashes: the split's name there and the sample's key."""


@pytest.mark.parametrize(("name", "split", "sample", "hashed"), KEYS)
def test_order(name: str, split: str, sample: str, hashed: str) -> None:
    """A task's samples are in the order of md5(split's name + key), the keys those of TensorFlow Datasets' builders."""
    ids = (sample, *(sample + str(i) for i in range(7)))
    source = Split(None, np.arange(8), ids, np.zeros(8, np.int64))  # type: ignore[arg-type]
    rule = tasks.get(f"vtab1k_{name}").splits
    assert rule.order == "tfds"
    keys = [splits.tfds_key(rule.key, i) for i in ids]
    salt = hashed.removesuffix(keys[0])
    assert salt + keys[0] == hashed
    digests = [int(hashlib.md5((salt + key).encode(), usedforsecurity=False).hexdigest(), 16) for key in keys]
    assert splits._order(rule, split, source).rows.tolist() == np.argsort(np.array(digests, dtype=object)).tolist()


def test_order_covers_the_suite() -> None:
    """Every task is in that order but Caltech-101, whose list is the user's."""
    assert {f"vtab1k_{name}" for name, *_ in KEYS} == set(SUITE.tasks) - {"vtab1k_caltech101"}
    assert tasks.get("vtab1k_caltech101").splits.order == "source"


@pytest.mark.parametrize(
    ("task", "column", "values", "known"),
    [
        ("location", 4, 32, {0: 0, 1: 0, 2: 1, 18: 9, 19: 9, 26: 13, 31: 15}),
        ("orientation", 3, 40, {0: 0, 2: 0, 3: 1, 5: 2, 7: 2, 8: 3, 22: 8, 27: 10, 32: 12, 37: 14, 39: 15}),
    ],
)
def test_dsprites_labels(task: str, column: int, values: int, known: dict[int, int], tmp_path: Path) -> None:
    """A dSprites label is floor(index · 16 / number of values), also where floating point is easily wrong."""
    latents = np.zeros((values, 6), dtype=np.int64)
    latents[:, column] = np.arange(values)
    card = tasks.get(f"vtab1k_dsprites_{task}")
    path = tmp_path / card.data["path"]
    path.parent.mkdir()
    np.savez(path, imgs=np.ones((values, 64, 64), dtype=np.uint8), latents_classes=latents)
    split = datasets.reader(card.reader).load(card.data, tmp_path)["train"]
    assert {index: int(split.labels[index]) for index in known} == known
    assert split.labels.tolist() == [index * 16 // values for index in range(values)]
    assert np.asarray(split.read(0)).max() == 255


def test_caltech101(tmp_path: Path, pngs: list[bytes]) -> None:
    """Caltech-101's splits are those of the user's list, in its order, with the background among its classes."""
    card = tasks.get("vtab1k_caltech101")
    names = ("accordion", "BACKGROUND_Google")
    for i, name in enumerate(names):
        (tmp_path / card.data["path"] / name).mkdir(parents=True)
        for k in range(3):
            (tmp_path / card.data["path"] / name / f"image_{k:04d}.jpg").write_bytes(pngs[3 * i + k])
    with pytest.raises(MissingError, match=r"there is no list .*vtab1k\.csv.*path,label,split"):
        datasets.locate(card, tmp_path)
    lines = [f"{n}/image_{k:04d}.jpg,{n},{s}\n" for k, s in ((2, "test"), (0, "train"), (1, "val")) for n in names]
    (tmp_path / card.data["list"]).write_text("path,label,split\n" + "".join(lines))
    found = table.load(card.data, tmp_path)
    assert found["train"].ids == ("accordion/image_0000.jpg", "BACKGROUND_Google/image_0000.jpg")
    assert found["test"].labels.tolist() == [1, 0]
    assert found["val"].read(1) == pngs[4]
