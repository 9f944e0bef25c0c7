"""Features: every distinct image passes the network once, whatever is killed, repeated or shared."""

from __future__ import annotations

import dataclasses
import multiprocessing
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ssl_bench import features
from ssl_bench.backbones.base import Backbone, Features
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import DataError
from ssl_bench.extraction import Spec
from ssl_bench.features import FeatureStore
from ssl_bench.images import InputSpec
from ssl_bench.loading import Work
from ssl_bench.progress import Progress

INPUT = InputSpec((8, 8), resize="none", channels="grey", mean=(0.0,), std=(1.0,))


class Counting(Backbone):
    """A seeded linear layer on pixels that counts the images that pass it."""

    poolings = ("linear",)
    default_pooling = "linear"
    input = INPUT

    def __init__(self, fail_after: int = 10**9) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Linear(64, 5)
        self.seen = 0
        self.fail_after = fail_after

    def forward(self, images: torch.Tensor, pooling: str) -> Features:
        if self.seen >= self.fail_after:
            raise KeyboardInterrupt
        self.seen += len(images)
        return Features(self.network(images.flatten(1)))


@dataclasses.dataclass
class Digits:
    """scikit-learn's digits as a source: real images inside a dependency."""

    images: NDArray[np.uint8]
    broken: int = -1

    def __len__(self) -> int:
        return len(self.images)

    def read(self, index: int) -> NDArray[np.uint8] | bytes:
        return b"broken" if index == self.broken else self.images[index]


def digits(rows: slice, broken: int = -1) -> tuple[Split, NDArray[np.uint8]]:
    from sklearn.datasets import load_digits

    images = np.round(load_digits().images * 255 / 16).astype(np.uint8)
    chosen = np.arange(len(images))[rows]
    split = Split(Digits(images, broken), chosen, tuple(map(str, chosen)), np.zeros(len(chosen), dtype=np.int64))
    digests = np.stack([np.frombuffer(digest_image(split.read(i)), dtype=np.uint8) for i in range(len(split))])
    return split, digests


def spec_of(backbone: Backbone) -> Spec:
    return Spec(backbone.weights_digest(), backbone.arch(), backbone.input, "linear")


def extract(
    store: FeatureStore, backbone: Backbone, rows: slice, work: Work | None = None, broken: int = -1
) -> tuple[NDArray[np.float32], features.Cost]:
    split, digests = digits(rows, broken)
    chosen = work or Work(batch_size=32, workers=0)
    rows, cost = store.features(backbone, spec_of(backbone), split, digests, chosen, Progress(), "test")
    return rows[:], cost


def test_features_are_what_the_network_gives_in_the_order_of_the_split(tmp_path: Path) -> None:
    """Cached features equal a direct forward pass, row for row, in any order of the split."""
    backbone = Counting()
    found, _ = extract(FeatureStore(tmp_path), backbone, slice(200, 100, -1))
    split, _ = digits(slice(200, 100, -1))
    images = torch.stack([torch.from_numpy(np.array(split.read(i))) for i in range(len(split))])
    direct = backbone.network(images.flatten(1).float() / 255)
    assert np.allclose(found, direct.detach().numpy(), atol=1e-6)


def test_shared_images_pass_the_network_once(tmp_path: Path) -> None:
    """Splits that share images share their features, and a second process-wide reading extracts nothing."""
    backbone = Counting()
    store = FeatureStore(tmp_path)
    extract(store, backbone, slice(0, 100))
    _, cost = extract(store, backbone, slice(50, 150))
    assert (cost.extracted, cost.cached, backbone.seen) == (50, 50, 150)
    _, cost = extract(FeatureStore(tmp_path), backbone, slice(0, 150))
    assert (cost.extracted, backbone.seen) == (0, 150)


def test_an_interrupted_extraction_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passed the network before an interruption is kept, and running again extracts only the rest."""
    monkeypatch.setattr(features, "FLUSH_IMAGES", 32)
    with pytest.raises(KeyboardInterrupt):
        extract(FeatureStore(tmp_path), Counting(fail_after=64), slice(0, 100))
    backbone = Counting()
    found, cost = extract(FeatureStore(tmp_path), backbone, slice(0, 100))
    assert (cost.extracted, backbone.seen) == (36, 36)
    whole, _ = extract(FeatureStore(tmp_path / "other"), Counting(), slice(0, 100))
    assert np.array_equal(found, whole)


def test_a_damaged_block_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    """A truncated or unreadable block costs its images a second pass and nothing else."""
    store = FeatureStore(tmp_path)
    whole, _ = extract(store, Counting(), slice(0, 100))
    for suffix in (".features.npy", ".images.npy"):
        (block,) = store.folder(spec_of(Counting())).glob(f"*{suffix}")
        block.write_bytes(block.read_bytes()[:50])
        found, cost = extract(FeatureStore(tmp_path), Counting(), slice(0, 100))
        assert cost.extracted == 100
        assert np.array_equal(found, whole)


def test_another_input_pooling_or_weights_is_another_key() -> None:
    """The key of a feature holds everything that causes it."""
    base = spec_of(Counting())
    others = [
        dataclasses.replace(base, weights_digest="0"),
        dataclasses.replace(base, arch={"class": "Other"}),
        dataclasses.replace(base, input=dataclasses.replace(INPUT, interpolation="bilinear")),
        dataclasses.replace(base, input=dataclasses.replace(INPUT, mean=(0.5,))),
        dataclasses.replace(base, pooled="cls"),
    ]
    assert len({base.key, *(other.key for other in others)}) == 6


@pytest.mark.parametrize("workers", [0, 2])
def test_a_corrupt_image_is_named_and_what_came_before_is_kept(tmp_path: Path, workers: int) -> None:
    """An image that cannot be decoded stops its job in one line, from worker processes too, and loses nothing."""
    backbone = Counting()
    with pytest.raises(DataError, match="cannot decode the image 70") as error:
        extract(FeatureStore(tmp_path), backbone, slice(0, 100), Work(batch_size=10, workers=workers), broken=70)
    assert "\n" not in str(error.value)
    _, cost = extract(FeatureStore(tmp_path), Counting(), slice(0, 100), Work(batch_size=10, workers=0))
    assert cost.extracted == 30


def test_batch_size_and_workers_change_no_feature(tmp_path: Path) -> None:
    """Batch size and decoding processes change no feature beyond the rounding of a matrix product."""
    first, _ = extract(FeatureStore(tmp_path / "a"), Counting(), slice(0, 99), Work(batch_size=1, workers=0))
    second, _ = extract(FeatureStore(tmp_path / "b"), Counting(), slice(0, 99), Work(batch_size=50, workers=2))
    assert np.allclose(first, second, atol=1e-6)


def _extract_in_process(folder: str) -> int:
    _, cost = extract(FeatureStore(Path(folder)), Counting(), slice(0, 1000), Work(batch_size=8, workers=0))
    return cost.extracted


def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    """Processes that want the same features wait for one another, and every image passes once in all."""
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        extracted = pool.map(_extract_in_process, [str(tmp_path)] * 2)
    assert sorted(extracted) == [0, 1000]


def test_features_that_are_lost_while_reading_are_reported(tmp_path: Path) -> None:
    """A cache that lacks an image it should hold is an error, never a row of zeros."""
    store = FeatureStore(tmp_path)
    extract(store, Counting(), slice(0, 10))
    _, digests = digits(slice(0, 11))
    with pytest.raises(DataError, match="lost 1 images"):
        store.rows(spec_of(Counting()), digests)
