from __future__ import annotations

import dataclasses
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets
from ssl_bench.datasets import containers, digits, index
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.tasks import Source, Splits, TaskCard

DIGITS = TaskCard("digits", "Digits", "digits", classes=10, splits=Splits("train", "val", "test"))


def digest_in_worker(source: ImageSource) -> bytes:
    return datasets.base.digest_image(source.read(3))


def test_readers() -> None:
    """Every module of the folder that is not listed as something else is a reader with `locate` and `load`."""
    assert {"digits", "image_folder", "npz", "parquet", "table"} <= set(datasets.readers())
    for name in datasets.readers():
        assert callable(datasets.reader(name).load)
    for name in datasets.NOT_READERS:
        assert not hasattr(__import__(f"ssl_bench.datasets.{name}", fromlist=["load"]), "locate")


def test_unknown_reader() -> None:
    """An unknown reader gets a suggestion; a module that is not there or is no reader is named."""
    with pytest.raises(UsageError, match=r"no reader is called 'digit'\. Did you mean digits"):
        datasets.reader("digit")
    with pytest.raises(UsageError, match="there is no module 'nowhere'"):
        datasets.reader("nowhere.images")
    with pytest.raises(UsageError, match=r"'json\.decoder' has no function locate"):
        datasets.reader("json.decoder")


def test_reader_by_path() -> None:
    """A reader of another package is named by its dotted path."""
    assert datasets.reader("ssl_bench.datasets.digits") is digits


def test_roles() -> None:
    """A card's splits become its roles."""
    roles = datasets.load(DIGITS, Path())
    assert {role: len(split) for role, split in roles.items()} == {"train": 1257, "val": 180, "test": 360}
    few = dataclasses.replace(DIGITS, splits=Splits("train[:100]+val", test="test"))
    assert {role: len(split) for role, split in datasets.load(few, Path()).items()} == {"train": 280, "test": 360}


@pytest.mark.parametrize(
    ("classes", "message"), [(9, r"label 9 \('\d+'\), outside 0 to 8"), (11, "has 10 classes, but the card says 11")]
)
def test_label_range(classes: int, message: str) -> None:
    """Labels and class names that do not fit the card's classes are an error that names task, role and sample."""
    with pytest.raises(DataError, match=f"task 'digits': train has.*{message}|task 'digits': train {message}"):
        datasets.load(dataclasses.replace(DIGITS, classes=classes), Path())


def many(labels: list[list[int]], **changes: object) -> TaskCard:
    """A card of several labels per image whose reader gives `labels`; see `load`."""
    shape = {"kind": "multilabel", "metric": "voc07_map", "splits": Splits("all", test="other")}
    data = {"labels": labels}
    return dataclasses.replace(TaskCard("many", "Many", __name__, classes=3), **{**shape, "data": data, **changes})


def locate(options: dict[str, object], root: Path) -> list[Path]:
    return []


def load(options: dict[str, object], root: Path) -> dict[str, Split]:
    labels = np.array(options["labels"])
    names = tuple(f"sample {i}" for i in range(len(labels)))
    return dict.fromkeys(("all", "other"), Split(containers.Files(root, names), np.arange(len(names)), names, labels))


def test_several_labels() -> None:
    """Of every class 1, 0 or -1 is kept of a sample, in roles, parts of them and a task's digest."""
    card = many([[1, 0, -1], [0, 1, 1]])
    test = datasets.load(card, Path())["test"]
    assert test.labels.tolist() == [[1, 0, -1], [0, 1, 1]]
    assert test.take([1]).labels.tolist() == [[0, 1, 1]]
    digests = []
    for labels in (test.labels, np.abs(test.labels)):
        digests.append(index.task_digest(card, {"test": index.Samples(test.ids, labels, np.zeros((2, 32), np.uint8))}))
    assert digests[0] != digests[1]


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (lambda: many([[1, 0]]), "train says of 2 classes whether they hold, but the card has 3"),
        (lambda: many([[1, 0, 0], [0, 2, 0]]), r"label 2 \('sample 1'\), outside -1 to 1"),
        (lambda: many([[1, 0, 0]], kind="classification", metric="top1"), "several labels per image"),
        (lambda: many([0, 1]), "one label per image, which the card's kind 'multilabel' has not; correct the card"),
    ],
)
def test_several_labels_that_do_not_fit(card: Callable[[], TaskCard], message: str) -> None:
    """Labels of another number of classes, other values and another kind than the card's are told with the sample."""
    with pytest.raises(DataError, match=message):
        datasets.load(card(), Path())


def test_metrics_of_several_labels() -> None:
    """A card of several labels names a metric for them, and no other card does."""
    for changes in ({"metric": "top1"}, {"kind": "classification"}):
        with pytest.raises(UsageError, match="voc07_map if, and only if"):
            many([], **changes)


def test_missing_data(tmp_path: Path) -> None:
    """Missing data is named with the task, its size and how to get it, by locate and by load alike."""
    source = Source(bytes=11_490_519, manual="ask the authors")
    data = {"path": "mnist/mnist.npz", "splits": {"train": {"images": "x", "labels": "y"}}}
    card = TaskCard("mnist", "MNIST", "npz", classes=10, data=data, source=source)
    for function in (datasets.locate, datasets.load, datasets.fetch):
        with pytest.raises(MissingError, match=r"task 'mnist': .*Get it \(11\.5 MB\): ask the authors"):
            function(card, tmp_path)


def test_bad_option() -> None:
    """An unknown option is named with the task and a suggestion."""
    card = dataclasses.replace(DIGITS, data={"path": "x"})
    with pytest.raises(UsageError, match="task 'digits': data: unknown key 'path'"):
        datasets.load(card, Path())


def test_another_process(folder: Path) -> None:
    """Sources read the same bytes in a process that was started afresh."""
    card = TaskCard("animals", "Animals", "image_folder", classes=3, data={"path": "animals"})
    splits: list[Split] = [datasets.load(card, folder.parent)["train"], datasets.load(DIGITS, Path())["test"]]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(digest_in_worker, [s.source for s in splits]) == [digest_in_worker(s.source) for s in splits]


def test_imports_are_light() -> None:
    """Importing the package and its readers loads no torch, pandas, pyarrow, scikit-learn or torchvision."""
    code = (
        "import sys; from ssl_bench import datasets; from ssl_bench.datasets import index;"
        "[datasets.reader(name) for name in datasets.readers()];"
        "heavy = {'torch', 'torchvision', 'pandas', 'pyarrow', 'sklearn', 'datasets', 'h5py', 'scipy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
