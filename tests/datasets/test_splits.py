from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench.datasets import splits
from ssl_bench.datasets.base import Split
from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import Raw
from ssl_bench.tasks import Splits

VECTORS = json.loads((Path(__file__).parent / "tfds_order.json").read_text())


class Bytes:
    def __init__(self, name: str, length: int) -> None:
        self.name, self.length = name, length

    def __len__(self) -> int:
        return self.length

    def read(self, index: int) -> Raw:
        return f"{self.name} {index}".encode()


def make(name: str, length: int, class_names: tuple[str, ...] = ()) -> Split:
    ids = tuple(f"{name}/{i}" for i in range(length))
    return Split(Bytes(name, length), np.arange(length), ids, np.arange(length) % 3, class_names)


@pytest.fixture
def source() -> dict[str, Split]:
    return {"train": make("train", 10), "val": make("val", 4), "test": make("test", 6)}


def test_expressions() -> None:
    """`train[:800]+val` is the first 800 samples of train and all of val."""
    assert splits.parse("train[:800]+val") == (splits.Part("train", 0, 800), splits.Part("val"))
    assert splits.parse("train[45000:45200]") == (splits.Part("train", 45000, 45200),)
    assert [str(part) for part in splits.parse("a[3:]+b[:4]+c")] == ["a[3:]", "b[:4]", "c"]


@pytest.mark.parametrize("text", ["train[", "train[1]", "train[::2]", "train+", "", "train[-5:]", "tr ain"])
def test_bad_expression(text: str) -> None:
    """Anything else is refused, with the forms that are known."""
    with pytest.raises(UsageError, match=r"not written like 'train', 'train\[:800\]'"):
        splits.parse(text)


def test_roles(source: dict[str, Split]) -> None:
    """Each role reads exactly the images that its expression names, in that order; no val means no role val."""
    roles = splits.assign(Splits(train="train[2:5]+val", test="test"), source)
    assert list(roles) == ["train", "test"]
    assert roles["train"].ids == ("train/2", "train/3", "train/4", "val/0", "val/1", "val/2", "val/3")
    read = [roles["train"].read(i) for i in range(7)]
    assert read == [b"train 2", b"train 3", b"train 4", b"val 0", b"val 1", b"val 2", b"val 3"]
    assert roles["train"].labels.tolist() == [2, 0, 1, 0, 1, 2, 0]


def test_joined_source_travels(source: dict[str, Split]) -> None:
    """A joined split can be pickled, taken from and read in another process."""
    joined = splits.assign(Splits(train="train+val"), source)["train"].take([13, 0, 10])
    copy = pickle.loads(pickle.dumps(joined))  # noqa: S301 - what multiprocessing does
    assert [copy.read(i) for i in range(3)] == [b"val 3", b"train 0", b"val 0"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Splits(train="train[:11]"), r"train\[:11\] asks for what is not there: train holds 10"),
        (Splits(train="train[4:4]"), "asks for what is not there"),
        (Splits(test="tets"), "no split 'tets'. Did you mean test"),
    ],
)
def test_out_of_range(source: dict[str, Split], wanted: Splits, message: str) -> None:
    """A slice beyond the split, an empty slice and an unknown split are errors that name what is there."""
    with pytest.raises(UsageError, match=message):
        splits.assign(wanted, source)


@pytest.mark.parametrize("test", ["train[7:9]", "test+train[7:8]"])
def test_overlap(source: dict[str, Split], test: str) -> None:
    """A sample in two roles is an error that names it."""
    with pytest.raises(DataError, match=r"test and train share \d samples of train, such as 'train/7'"):
        splits.assign(Splits(train="train[:8]", test=test), source)


def test_repeated_sample(source: dict[str, Split]) -> None:
    """A sample twice in one role is an error too."""
    with pytest.raises(DataError, match="train and train share 4 samples of val"):
        splits.assign(Splits(train="val+val"), source)


def test_other_classes() -> None:
    """Splits of different classes cannot be joined."""
    with pytest.raises(DataError, match="same classes"):
        splits.join([make("a", 3, ("x",)), make("b", 3, ("y",))])


def _sha256(keys: list[Any]) -> str:
    return hashlib.sha256(",".join(map(str, keys)).encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "count", "val_start"), [("cifar100", 50000, 45000), ("dsprites", 737280, 589824), ("clevr", 70000, 63000)]
)
def test_tfds_order(name: str, count: int, val_start: int) -> None:
    """The samples of VTAB-1k follow from row numbers and file names: published lists of ids come out exactly."""
    keys: list[Any] = [f"CLEVR_train_{i:06d}.png" for i in range(count)] if name == "clevr" else list(range(count))
    order = splits.tfds_order(keys, "train")
    train, val = ([keys[i] for i in part] for part in (order[:800], order[val_start : val_start + 200]))
    expected = VECTORS[name]
    assert (train[:5], train[-1]) == (expected["train800_first5"], expected["train800_last"])
    assert (val[:5], val[-1]) == (expected["val200_first5"], expected["val200_last"])
    assert (_sha256(train), _sha256(val)) == (expected["train800_sha256"], expected["val200_sha256"])


def test_tfds_order_of_smallnorb() -> None:
    """VTAB's smallNORB takes val from the first half of the source's test split and test from its second half."""
    test = splits.tfds_order(range(24300), "test")
    assert test[:5].tolist() == VECTORS["smallnorb"]["val200_first5"]
    assert _sha256(test[:200].tolist()) == VECTORS["smallnorb"]["val200_sha256"]
    assert test[12150:12155].tolist() == VECTORS["smallnorb"]["test_first5"]


def test_tfds_splits() -> None:
    """With the order "tfds" slices count in that order, and a source's val is salted as "validation"."""
    length = 30
    source = {
        name: Split(Bytes(name, length), np.arange(length), tuple(map(str, range(length))), np.zeros(length, int))
        for name in ("train", "val", "test")
    }
    roles = splits.assign(Splits("train[:3]", "val[:2]", "test", order="tfds"), source)
    assert roles["train"].rows.tolist() == splits.tfds_order(range(length), "train")[:3].tolist()
    assert roles["val"].rows.tolist() == splits.tfds_order(range(length), "validation")[:2].tolist()


def test_tfds_keys() -> None:
    """A key may be made of an id's last folder and file, as for EuroSAT."""
    assert splits.tfds_key("{folder}_{file}", "2750/Forest/Forest_687.jpg") == "Forest_Forest_687.jpg"
    assert splits.tfds_key("{id}", "a/b") == "a/b"
    with pytest.raises(UsageError, match=r"\{name\} is not one of \{id\}"):
        splits.tfds_key("{name}", "a")
