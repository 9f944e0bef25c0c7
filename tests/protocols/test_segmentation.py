"""Segmentation on frozen maps: what is said of every pixel, by a head that is trained and by neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torch.nn import functional

from ssl_bench import backbones, model_zoo, protocols
from ssl_bench.backbones.base import Backbone
from ssl_bench.errors import DataError, UsageError
from ssl_bench.images import normalise
from ssl_bench.protocols import segmentation_knn
from ssl_bench.protocols.base import Supply, Trial
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.targets import VOID, Mask
from tests.cli.conftest import Command, Said, command

__all__ = ["command"]
Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""An image (height, width, 3) and its labels (height, width)."""
COLOURS = np.array([[220, 40, 40], [40, 200, 60], [50, 60, 210]], dtype=np.uint8)
PIXELS = "pixels,size=24"
LINEAR = "segmentation_linear,steps=60,batch=4,size=24,crop=16,rate=0.1,distort=false"
KNN = "segmentation_knn,size=24,k=3"


def scene(seed: int, size: tuple[int, int] = (24, 32)) -> Pair:
    """A picture of three colours in rectangles, with noise, and its mask, whose first row counts for nothing."""
    generator = np.random.default_rng(seed)
    labels = np.zeros(size, np.uint8)
    for label in (1, 2):
        top, left = generator.integers(0, size[0] // 2), generator.integers(0, size[1] // 2)
        labels[top : top + size[0] // 2, left : left + size[1] // 2] = label
    noise = generator.integers(-20, 20, (*size, 3))
    image = np.clip(COLOURS[labels].astype(int) + noise, 0, 255).astype(np.uint8)
    labels[0] = VOID
    return image, labels


def folder(root: Path, splits: dict[str, list[Pair]]) -> Path:
    """Write images and masks as `--data` reads them."""
    for split, pairs in splits.items():
        for part in ("images", "masks"):
            (root / split / part).mkdir(parents=True)
        for index, (image, labels) in enumerate(pairs):
            Image.fromarray(image).save(root / split / "images" / f"{index}.png")
            Image.fromarray(labels).save(root / split / "masks" / f"{index}.png")
    (root / "classes.txt").write_text("wall\ntree\nsea\n")
    return root


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return folder(
        tmp_path / "scenes",
        {"train": [scene(seed) for seed in range(6)], "test": [scene(9), scene(10, (40, 33)), scene(11)]},
    )


def run(command: Command, data: Path, model: str, protocol: str) -> Said:
    return command("run", "-m", model, "--data", data, "-p", protocol, "--seeds", 0)


def record_of(said: Said, root: Path) -> Record:
    assert said.code == 0, said.err
    [record] = Results(root / "results").records()
    return record


@pytest.mark.parametrize("protocol", [LINEAR, KNN])
def test_colours_are_told_apart(protocol: str, command: Command, scenes: Path, tmp_path: Path) -> None:
    """Of scenes whose classes are colours, pixels tell nearly every one, at each image's own size."""
    record = record_of(run(command, scenes, PIXELS, protocol), tmp_path)
    assert record.headline.value > 0.9
    assert record.metrics["miou"].n == 3
    if "linear" in protocol:
        assert record.protocol.selected == {"dim": 3, "stride": 1, "warmup": 2}
        assert record.protocol.curve[-1]["train_loss"] < 0.5 * record.protocol.curve[0]["train_loss"]
    else:
        assert record.protocol.selected == {"size": 24, "stride": 1, "memory": 6 * (24 * 24 - 24), "dim": 3}


@pytest.mark.parametrize("protocol", [LINEAR, KNN])
def test_a_backbone_that_says_nothing_gets_the_most_frequent_class(
    protocol: str, command: Command, scenes: Path, tmp_path: Path
) -> None:
    """Every pixel is given the class of most pixels of train: its share of the counted pixels is the accuracy."""
    record = record_of(run(command, scenes, "majority", protocol), tmp_path)
    masks = [scene(9)[1], scene(10, (40, 33))[1], scene(11)[1]]
    right = sum(int((mask == 0).sum()) for mask in masks) / sum(int((mask != VOID).sum()) for mask in masks)
    assert record.metrics["aacc"].value == pytest.approx(right)


@pytest.mark.parametrize("protocol", [LINEAR, KNN])
def test_odd_images_are_answered(protocol: str, command: Command, tmp_path: Path) -> None:
    """Images of one pixel, of one row, and of very different sides are trained on and answered like others."""
    pairs = [scene(1), scene(2, (2, 2)), scene(3, (2, 70)), scene(4)]
    one = np.full((1, 1, 3), 40, np.uint8), np.array([[1]], np.uint8)
    data = folder(tmp_path / "odd", {"train": [*pairs, one], "test": [one, *pairs[1:]]})
    assert record_of(run(command, data, PIXELS, protocol), tmp_path).metrics["miou"].n == 4


@pytest.mark.parametrize(
    ("model", "protocol", "message"),
    [
        ("random:vae_mnist", LINEAR, "BurgessEncoder (burgess_vae) has no map of an image's parts"),
        ("random:vae_mnist", KNN, "BurgessEncoder (burgess_vae) has no map of an image's parts"),
        ("timm:beit_base_patch16_224,pretrained=false,depth=1", LINEAR, "takes no images of 16x16 pixels"),
        (PIXELS, "segmentation_linear,crop=100,window_step=101", "windows of 100 pixels every 101 leave gaps"),
        (PIXELS, "segmentation_linear,scale=2+1", "scale must be two rising numbers above 0"),
        (PIXELS, "segmentation_linear,dropout=1", "dropout must be from 0 to 0.99, not 1"),
        (PIXELS, "segmentation_knn,size=24,k=4000", "4000 neighbours were asked for, and train has 3312 places"),
        (PIXELS, "segmentation_knn,temperature=0", "temperature must be above 0, not 0"),
    ],
)
def test_what_cannot_be_asked_is_said(model: str, protocol: str, message: str, command: Command, scenes: Path) -> None:
    """A model without maps, of one size alone, and a recipe that makes no sense, are one line each that names them."""
    said = run(command, scenes, model, protocol)
    assert said.code in (2, 3)
    assert message in said.err


class Given(Supply):
    """Images, and masks of those of train."""

    def __init__(self, train: list[Pair], test: list[Pair] | None = None) -> None:
        self.pairs = {"train": train, "test": test or []}

    def prepared(self, split: str, prepare: Any, order: Any, places: Any = None) -> Iterator[Any]:
        for position in order:
            image, labels = self.pairs[split][int(position)]
            mask = Mask(labels) if split == "train" else None
            yield prepare(image, mask, np.random.default_rng(int(position)))


def network() -> Backbone:
    """A convolution that gives a map of stride 4 and dim 5."""
    torch.manual_seed(0)
    return backbones.given(model_zoo.ModelCard("net", "Net", "module"), nn.Conv2d(3, 5, 4, stride=4))


def trial_of(train: list[Pair], test: list[Pair] | None = None) -> Trial:
    supply, sizes = Given(train, test), {"train": len(train), "test": len(test or [])}
    return Trial(3, 0, sizes, {}, supply, backbone=network())


def places_of(backbone: Backbone, image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Features (rows, columns, dim) of an image of a multiple of the stride."""
    pixels = normalise(torch.from_numpy(image.transpose(2, 0, 1).copy())[None], backbone.input)
    return backbone.forward(pixels, "output").dense[0].permute(1, 2, 0).double().numpy()  # type: ignore[index]


@pytest.mark.parametrize("queries", [1, 1 << 17])
def test_neighbours_by_brute_force(queries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said is the largest of bilinearly spread sums, over the 4 most similar places, of softmax(s / T) times
    their shares of counted pixels; places of void pixels alone are no neighbours; it does not matter how many are
    looked up at a time."""
    monkeypatch.setattr(segmentation_knn, "QUERIES", queries)
    generator = np.random.default_rng(0)

    def pair(height: int = 8, width: int = 8) -> Pair:
        image = generator.integers(0, 255, (height, width, 3)).astype(np.uint8)
        return image, generator.integers(0, 3, (height, width)).astype(np.uint8)

    train, test = [pair() for _ in range(3)], [pair(), pair()]
    train[0][1][:4, :4] = VOID
    train[1][1][5] = VOID
    trial, backbone = trial_of(train, test), network()
    answer = protocols.get("segmentation_knn,k=4,temperature=0.1,size=11").predict(trial)
    assert answer.selected == {"size": 8, "stride": 4, "memory": 11, "dim": 5}
    points, labels = [], []
    for image, mask in train:
        for row, column in itertools.product(range(2), range(2)):
            cell = mask[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            counts = np.array([(cell == label).sum() for label in range(3)])
            if counts.sum():
                points.append(places_of(backbone, image)[row, column])
                labels.append(counts / counts.sum())
    keys, values = np.array(points), np.array(labels)
    keys /= np.linalg.norm(keys, axis=1, keepdims=True)
    said: Any = answer.predictions
    for index, (image, mask) in enumerate(test):
        asked = places_of(backbone, image).reshape(4, 5)
        asked /= np.linalg.norm(asked, axis=1, keepdims=True)
        sums = np.zeros((4, 3))
        for place, row in enumerate(asked @ keys.T):
            near = np.argsort(-row)[:4]
            weights = np.exp(row[near] / 0.1) / np.exp(row[near] / 0.1).sum()
            sums[place] = weights @ values[near]
        grid = torch.from_numpy(sums.T.reshape(1, 3, 2, 2))
        wide = functional.interpolate(grid, size=mask.shape, mode="bilinear", align_corners=False)
        np.testing.assert_array_equal(said.maps[index], wide[0].numpy().argmax(axis=0))


def test_a_small_memory_takes_the_rarest_places() -> None:
    """Every image gives as many places; those of classes that are rare in it go first, whatever is drawn where their
    scores lie far enough apart; the seed draws among equals."""
    counts = np.zeros((40, 3), np.int64)
    counts[:, 0] = 16
    counts[5], counts[6] = (0, 16, 0), (0, 0, 16)
    counts[7] = 0

    class Least:
        def random(self, size: int) -> NDArray[np.float64]:
            return np.linspace(0.5, 1.0, size)

    least: Any = Least()
    assert segmentation_knn.chosen(counts, 2, least).tolist() == [5, 6]
    assert 7 not in segmentation_knn.chosen(counts, 100, least)
    draws = {tuple(segmentation_knn.chosen(counts, 4, np.random.default_rng(seed))) for seed in range(5)}
    assert len(draws) > 1
    recipe: Any = protocols.get("segmentation_knn,memory=12")
    blank = np.zeros((16, 16, 3), np.uint8)
    pairs = [(blank, np.zeros((16, 16), np.uint8)) for _ in range(5)]
    shares, bank = recipe.memory_of(trial_of(pairs), network(), 16, 4)
    assert shares.tolist() == [[1, 0, 0]] * 10
    assert bank.shape == (10, 5)
    void = trial_of([(blank, np.full((16, 16), VOID, np.uint8))])
    with pytest.raises(DataError, match="no pixel of train counts"):
        recipe.memory_of(void, network(), 16, 4)
    with pytest.raises(UsageError, match="memory must be 1 or more"):
        protocols.get("segmentation_knn,memory=0")


@pytest.mark.data
def test_a_trained_network_tells_camvid_apart(
    command: Command, real_data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """On real street scenes a trained network does far better than the most frequent class, by both protocols, with the
    same figures when it is run again."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(real_data))
    asked = ("run", "-m", "shufflenetv2_05", "-m", "majority", "-t", "camvid", "--limit", 8, "--seeds", 0)
    recipes = ("-p", "segmentation_linear,steps=12,batch=4,size=160,crop=128", "-p", "segmentation_knn,size=128")
    values = []
    for results, some in (("one", recipes), ("two", recipes[:2])):
        said = command(*asked, *some, "--results", tmp_path / results)
        assert said.code == 0, said.err
        found = {(r.model.name, r.protocol.name): r.headline.value for r in Results(tmp_path / results).records()}
        values.append(found)
    assert values[1].items() <= values[0].items()
    for name in ("segmentation_linear", "segmentation_knn"):
        assert values[0]["shufflenetv2_05", name] > 3 * values[0]["majority", name]
