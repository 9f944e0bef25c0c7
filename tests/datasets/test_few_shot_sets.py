"""Few-shot sets: asked of test alone, and told in one line where their files do not fit."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torchvision as library

from ssl_bench import tasks
from ssl_bench.cards import read_card
from ssl_bench.datasets import chestx, class_pickles, cub, digits, isic2018, torchvision
from ssl_bench.datasets.unpacking import unpack
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.results.store import Results
from ssl_bench.tasks import TaskCard
from tests.cli.conftest import Command, command
from tests.datasets.replicas import cifar100_classes, write

__all__ = ["command"]
CARD = """
title = "Digits in episodes"
reader = "class_pickles"
kind = "few_shot"
classes = 10
metric = "episode_accuracy"
[data]
files = { test = "digits.pkl" }
[splits]
train = ""
test = "test"
"""


def test_a_set_without_train_is_asked_in_episodes_alone(command: Command) -> None:
    """A few-shot set is asked by episodic, recorded and looked at, and refused to protocols that learn from train."""
    split = digits.load({}, Path())["test"]
    images = np.stack([np.repeat(np.asarray(split.read(i))[..., None], 3, axis=2) for i in range(len(split))])
    Path("digits.pkl").write_bytes(pickle.dumps({"data": images, "labels": split.labels.tolist()}))
    Path("few.toml").write_text(CARD)
    asked = ("--model", "pixels", "--task", "./few.toml", "--data", ".")
    assert command("run", *asked, "--protocol", "episodic,episodes=20", "--seeds", "0").code == 0
    [record] = Results(Path("results")).records()
    assert (record.task.kind, dict(record.task.samples)) == ("few_shot", {"test": len(split)})
    assert record.task.metric == "episode_accuracy"
    assert record.headline.value > 0.5
    refused = command("run", *asked, "--protocol", "knn")
    assert refused.code == 2
    assert "knn cannot ask the task 'few', which is of the kind 'few_shot'" in refused.err
    assert command("look", "./few.toml", "--model", "pixels", "--data", ".").code == 0


def test_a_set_has_no_train_if_it_is_few_shot(tmp_path: Path) -> None:
    """A card of another kind must name train, and a few-shot card must not."""
    for text in (CARD.replace('train = ""', 'train = "train"'), CARD.replace("few_shot", "classification")):
        write(tmp_path, {"few.toml": text})
        with pytest.raises(UsageError, match=r"splits\.train is empty if, and only if, the kind of a task is"):
            read_card(tmp_path / "few.toml", TaskCard)


@pytest.mark.parametrize("name", ["cifar_fs", "fc100"])
def test_classes_of_cifar(name: str) -> None:
    """Each few-shot set of CIFAR-100 names 20 of its classes, each once; FC100's are four whole superclasses."""
    kept = tasks.get(name).data["classes"]
    assert len(set(kept)) == len(kept) == 20 == tasks.get(name).classes
    every = {word.replace(" ", "_") for word in tasks.get("vtab1k_cifar100").class_names}
    assert set(kept) <= every


def test_an_unknown_class_gets_the_nearest(tmp_path: Path) -> None:
    """A class that a dataset does not have is answered with the nearest."""
    cifar100_classes.build(tmp_path, "fc100")
    unpack(tmp_path / "cifar-100-python.tar.gz", tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library.datasets.cifar, "check_integrity", lambda path, md5=None: Path(path).is_file())
        with pytest.raises(UsageError, match=r"cifar100 has no class 'babby'\. Did you mean baby"):
            torchvision.load({"name": "cifar100", "classes": ["babby"]}, tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        {"data": np.zeros((2, 4, 4, 3), np.uint8)},
        {"data": np.zeros((2, 4, 4, 3), np.float32), "labels": [0, 1]},
        {"data": np.zeros((2, 4, 4, 3), np.uint8), "labels": [0, 1, 2]},
        [1, 2],
    ],
)
def test_pickles_of_another_form(content: object, tmp_path: Path) -> None:
    """A pickle without images, with images of another type or with labels of another number is told."""
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"a\.pkl holds"):
        class_pickles.load({"files": {"test": "a.pkl"}}, tmp_path)
    with pytest.raises(MissingError, match=r"b\.pkl"):
        class_pickles.locate({"files": {"test": "b.pkl"}}, tmp_path)


def test_tables_of_another_form(tmp_path: Path) -> None:
    """A lesion of no kind or of two, a table without its columns and one without a finding are told."""
    write(tmp_path / "images", {"a.jpg": b"image"})
    options = {"path": "images", "labels": "table.csv"}
    for table, words in (
        ("image,MEL,NV\na,0,0\n", "not of exactly one kind"),
        ("image,MEL,NV\na,1,1\n", "not of exactly one kind"),
        ("image,MEL,NV\na,x,1\n", "is not a table of"),
        ("name,MEL\na,1\n", "no column 'image'"),
    ):
        write(tmp_path, {"table.csv": table})
        with pytest.raises(DataError, match=words):
            isic2018.load(options, tmp_path)
    for table, words in (
        ("Image Index\na.jpg\n", "no column 'Finding"),
        ("Image Index,Finding Labels\na,Mass|Mass\n", "alone"),
    ):
        write(tmp_path, {"table.csv": table})
        with pytest.raises(DataError, match=words):
            chestx.load(options, tmp_path)


def test_cubs_lists(tmp_path: Path) -> None:
    """Lists of birds that do not fit together are told, and so is a remainder that is none."""
    write(tmp_path / "cub", {"images.txt": "1 a.jpg\n", "image_class_labels.txt": "2 1\n", "classes.txt": "1 001.A\n"})
    write(tmp_path / "cub", {"train_test_split.txt": "1 1\n", "images/a.jpg": b"image"})
    with pytest.raises(DataError, match="do not fit together"):
        cub.load({"path": "cub"}, tmp_path)
    write(tmp_path / "cub", {"train_test_split.txt": "1\n"})
    with pytest.raises(DataError, match=r"train_test_split\.txt: a line is not"):
        cub.load({"path": "cub"}, tmp_path)
    with pytest.raises(UsageError, match="rest is 4"):
        cub.load({"path": "cub", "every": 4, "rest": 4}, tmp_path)
