"""The tasks on real data, as they lie in the folder that SSL_BENCH_DATA names."""

from __future__ import annotations

import collections
import io
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench import datasets, images, tasks
from ssl_bench.datasets import index
from ssl_bench.datasets.base import ImageSource

pytestmark = pytest.mark.data

COUNTS = {
    "mnist": (60000, 0, 10000),
    "cifar10_jpeg": (50000, 0, 10000),
    "eurosat_3500": (2500, 0, 1000),
    "caltech101_1414": (1010, 0, 404),
    "coil20_object": (360, 0, 360),
    "coil20_azimuth": (360, 0, 360),
    "pneumoniamnist": (4708, 524, 624),
}
MODES = {"mnist": "L", "cifar10_jpeg": "RGB", "eurosat_3500": "RGB", "coil20_object": "L", "pneumoniamnist": "L"}


def read_last(source: ImageSource) -> bytes:
    return datasets.base.digest_image(source.read(len(source) - 1))


@pytest.mark.parametrize("name", COUNTS)
def test_task(name: str, data_root: Path, tmp_path: Path) -> None:
    """Each task has its published counts, every class in test, decodable images, and none of train in test."""
    card = tasks.get(name)
    roles = datasets.load(card, data_root)
    assert tuple(len(roles[role]) if role in roles else 0 for role in ("train", "val", "test")) == COUNTS[name]
    for split in roles.values():
        assert set(split.labels.tolist()) == set(range(card.classes))
        for i in np.linspace(0, len(split) - 1, 25, dtype=int).tolist():
            mode = images.decode(split.read(i), split.ids[i]).mode
            assert mode == MODES.get(name, mode)
    built = index.build(card, data_root, tmp_path, roles)
    train, test = (set(map(bytes, built.digests[role])) for role in ("train", "test"))
    assert not train & test
    found = index.lookup(card, data_root, tmp_path)
    assert found is not None
    assert found.task_digest == built.task_digest


@pytest.mark.parametrize("name", COUNTS)
def test_another_process(name: str, data_root: Path) -> None:
    """A task's source reads the same image in a process that was started afresh, and travels there in little space."""
    source = datasets.load(tasks.get(name), data_root)["train"].source
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(read_last, (source,)) == read_last(source)


def test_mnist_official_order(data_root: Path) -> None:
    """MNIST's first labels are those of the official files."""
    roles = datasets.load(tasks.get("mnist"), data_root)
    assert roles["train"].labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert roles["test"].labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert roles["test"].read(0).shape == (28, 28)  # type: ignore[union-attr]


def test_cifar_class_names(data_root: Path) -> None:
    """CIFAR-10's class names come from the files' schema."""
    names = datasets.load(tasks.get("cifar10_jpeg"), data_root)["test"].class_names
    assert names[:3] == ("airplane", "automobile", "bird")


def test_coil20_shares_images(data_root: Path, tmp_path: Path) -> None:
    """COIL-20's two tasks have the same images and other labels, so one pass through a backbone serves both."""
    a, b = (index.build(tasks.get(f"coil20_{name}"), data_root, tmp_path) for name in ("object", "azimuth"))
    np.testing.assert_array_equal(a.digests["test"], b.digests["test"])
    assert a.task_digest != b.task_digest


@pytest.mark.parametrize(("name", "expected"), [("coil20_object", 0.967), ("coil20_azimuth", 0.661)])
def test_coil20_neighbours(name: str, expected: float, data_root: Path) -> None:
    """1-NN on 32x32 pixels reaches the accuracy that the card tells."""
    roles = datasets.load(tasks.get(name), data_root)

    def pixels(role: str) -> np.ndarray:
        raw = [roles[role].read(i) for i in range(len(roles[role]))]
        small = [Image.open(io.BytesIO(r)).convert("L").resize((32, 32), Image.Resampling.BILINEAR) for r in raw]
        return np.stack([np.asarray(image, dtype=np.float64).reshape(-1) for image in small])

    train, test = pixels("train"), pixels("test")
    distances = (test**2).sum(1)[:, None] + (train**2).sum(1)[None] - 2 * test @ train.T
    accuracy = (roles["train"].labels[distances.argmin(1)] == roles["test"].labels).mean()
    assert accuracy == pytest.approx(expected, abs=0.01)


def test_pneumonia_is_unbalanced(data_root: Path) -> None:
    """PneumoniaMNIST's test set is 62.5 % pneumonia, as its card tells."""
    labels = datasets.load(tasks.get("pneumoniamnist"), data_root)["test"].labels
    assert collections.Counter(labels.tolist()) == {1: 390, 0: 234}
