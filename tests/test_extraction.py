"""Images through a backbone: views, maps and random crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torchvision.transforms import RandomResizedCrop

from ssl_bench import extraction, images
from ssl_bench.backbones.base import Backbone, Features
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.errors import UsageError
from ssl_bench.extraction import Spec
from ssl_bench.features import FeatureStore
from ssl_bench.images import Augmentation, InputSpec
from ssl_bench.loading import Work, augmented_batches
from ssl_bench.progress import Progress

INPUT = InputSpec((8, 8), resize="none", channels="grey", mean=(0.0,), std=(1.0,))


class Seen(Backbone):
    """What it sees is its feature, and its map where it has one."""

    poolings = ("pixels",)
    default_pooling = "pixels"
    input = INPUT

    def __init__(self, with_map: bool = True) -> None:
        self.with_map = with_map

    def forward(self, images: torch.Tensor, pooling: str) -> Features:
        return Features(images.flatten(1), images if self.with_map else None)


def digits(count: int) -> tuple[Split, np.ndarray]:
    pixels = (load_digits().images[:count] * 15).astype(np.uint8)
    split = Split(list_of(pixels), np.arange(count), tuple(map(str, range(count))), np.zeros(count, np.int64))
    return split, np.stack([np.frombuffer(digest_image(image), dtype=np.uint8) for image in pixels])


class list_of(list):  # a source of images in memory
    def read(self, index: int) -> np.ndarray:
        return self[index]


def rows(folder: Path, backbone: Backbone, **spec: str) -> np.ndarray:
    split, digests = digits(20)
    asked = Spec(backbone.weights_digest(), backbone.arch(), backbone.input, **{"pooled": "pixels", **spec})
    found, _ = FeatureStore(folder).features(backbone, asked, split, digests, Work(workers=0), Progress(), "test")
    return found[:]


@pytest.mark.parametrize(("view", "turns"), [("rot90", 1), ("rot180", 2), ("rot270", 3)])
def test_views_turn_the_image_and_are_features_of_their_own(tmp_path: Path, view: str, turns: int) -> None:
    """A turned image's features are those of the turned pixels, and are not taken for the image's own."""
    plain, turned = rows(tmp_path, Seen()), rows(tmp_path, Seen(), view=view)
    assert np.array_equal(turned.reshape(-1, 8, 8), np.rot90(plain.reshape(-1, 8, 8), turns, axes=(1, 2)))


def test_maps_are_kept_in_half_precision(tmp_path: Path) -> None:
    """A map comes back as the network gave it, rounded to float16, in its own shape."""
    found = rows(tmp_path, Seen(), pooled=extraction.DENSE)
    plain = rows(tmp_path, Seen())
    assert (found.shape, found.dtype) == ((20, 1, 8, 8), np.float16)
    assert np.array_equal(found[:, 0].reshape(20, 64), plain.astype(np.float16))


def test_a_model_without_a_map_says_so(tmp_path: Path) -> None:
    """A protocol that needs maps is told in one line where a model gives none."""
    with pytest.raises(UsageError, match="gives no map"):
        rows(tmp_path, Seen(with_map=False), pooled=extraction.DENSE)


@pytest.mark.parametrize(("size", "workers"), [(20, 0), (3, 0), (7, 2)])
def test_augmented_images_depend_on_seed_and_place_alone(size: int, workers: int) -> None:
    """The batch size and the worker processes change no random crop; the seed and the place do."""
    split, _ = digits(20)
    order = np.array([4, 4, 9, 0, 1, 2, 3, 5, 6, 7, 8])

    def crops(seed: int, size: int, workers: int = 0) -> torch.Tensor:
        given = Augmentation(), order, size, seed, Work(workers=workers)
        return torch.cat(list(augmented_batches(split, INPUT, *given)))

    first = crops(0, 20)
    assert torch.equal(crops(0, size, workers), first)
    assert not torch.equal(crops(1, 20), first)
    assert not torch.equal(first[0], first[1])  # one image at two places


def test_random_parts_are_distributed_as_torchvisions() -> None:
    """Area, ratio and place of 4,000 random parts have the means of torchvision's RandomResizedCrop."""
    generator = np.random.default_rng(0)
    ours = np.array([images._random_part((60, 40), Augmentation(), generator) for _ in range(4000)], dtype=float)
    torch.manual_seed(0)
    image = torch.zeros(3, 40, 60)
    theirs = np.array([RandomResizedCrop.get_params(image, [0.08, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)])
    theirs = theirs[:, [1, 0, 3, 2]].astype(float)  # top, left, height, width
    spread = theirs.std(axis=0) / np.sqrt(len(theirs))
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 5 * spread).all()
    assert np.abs(ours.std(axis=0) / theirs.std(axis=0) - 1).max() < 0.1


def test_a_crop_of_the_whole_image_is_a_resize() -> None:
    """A part as large as the image is Pillow's resize, and a certain flip mirrors it."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    spec = InputSpec((16, 16))
    whole = {"scale": (1.0, 1.0), "ratio": (1.0, 1.0)}
    generator = np.random.default_rng(0)
    plain = images.augmented(image, spec, Augmentation(**whole, flip=0.0), generator)
    expected = np.asarray(image.resize((16, 16), Image.Resampling.BICUBIC)).transpose(2, 0, 1)
    assert np.array_equal(plain, expected)
    assert np.array_equal(images.augmented(image, spec, Augmentation(**whole, flip=1.0), generator), plain[:, :, ::-1])


class Narrow(Seen):
    """Runs out of memory with more than five images at once."""

    def __init__(self, most: int = 5) -> None:
        super().__init__()
        self.most, self.largest = most, 0

    def forward(self, images: torch.Tensor, pooling: str) -> Features:
        if len(images) > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB")
        self.largest = max(self.largest, len(images))
        return super().forward(images, pooling)


def test_fewer_images_pass_at_once_where_memory_runs_out(tmp_path: Path) -> None:
    """A batch that does not fit is halved until it does, and the features are the same."""
    narrow = Narrow()
    assert np.array_equal(rows(tmp_path / "a", narrow), rows(tmp_path / "b", Seen()))
    assert narrow.largest == 5


def test_a_single_image_that_does_not_fit_is_told(tmp_path: Path) -> None:
    """Where one image alone is too much, what ran out says so."""
    with pytest.raises(RuntimeError, match="out of memory"):
        rows(tmp_path, Narrow(0))


class Linear(Backbone):
    """A linear layer, whose arithmetic a lower precision changes."""

    poolings = ("pixels",)
    default_pooling = "pixels"
    input = INPUT

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.network = torch.nn.Linear(64, 16).eval()

    def forward(self, images: torch.Tensor, pooling: str) -> Features:
        return Features(self.network(images.flatten(1)))


def test_a_lower_precision_is_kept_apart_and_close(tmp_path: Path) -> None:
    """A lower precision gives other features within its rounding under a key of their own, float16 in half the room."""
    plain = rows(tmp_path, Linear())
    for precision, kept in (("bfloat16", np.float32), ("float16", np.float16)):
        low = rows(tmp_path, Linear(), precision=precision)
        assert low.dtype == kept
        assert 0 < np.abs(low.astype(np.float32) - plain).max() < 0.05
