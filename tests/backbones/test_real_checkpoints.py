"""Real checkpoints on real images: the figures that others and we measured with plain scikit-learn and PyTorch.

Neighbours are computed here apart from the package's own solvers.
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ssl_bench import backbones, images, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.errors import UsageError

pytestmark = pytest.mark.data
Raws = list[bytes] | NDArray[np.uint8]


def load(root: Path, name: str, **changed: object) -> Backbone:
    card = model_zoo.get(name)
    card = dataclasses.replace(card, input=dataclasses.replace(card.input, **changed))
    return backbones.load(card, LoadContext(model_zoo.weights_state(card, [root]).path))


def features(backbone: Backbone, raws: Raws, pooling: str = "default") -> NDArray[np.float32]:
    (found,) = features_of_several([backbone], raws, pooling)
    return found


def features_of_several(several: list[Backbone], raws: Raws, pooling: str = "default") -> list[NDArray[np.float32]]:
    """Return the features of backbones that differ in channels or statistics alone: their pixels are made once.

    Small batches stay in the processor's cache; 500 at once take twice as long.
    """
    parts: list[list[NDArray[np.float32]]] = [[] for _ in several]
    for start in range(0, len(raws), 32):
        seen = [images.pixels(images.decode(raw, "test"), several[0].input) for raw in raws[start : start + 32]]
        for backbone, own in zip(several, parts, strict=True):
            batch = images.normalise(torch.from_numpy(np.stack(seen)), backbone.input)
            own.append(backbone.forward(batch, backbone.resolve_pooling(pooling)).pooled.numpy())
    return [np.concatenate(own) for own in parts]


def scores_of(variants: dict[str, Backbone], path: Path) -> dict[str, float]:
    """Return the accuracy of 20 neighbours for each variant of a backbone, on an archive's train and test."""
    raws, labels, unseen, truth = folders(path)
    several = list(variants.values())
    pairs = zip(features_of_several(several, raws), features_of_several(several, unseen), strict=True)
    found = [knn(train, labels, test, truth, 20) for train, test in pairs]
    return dict(zip(variants, found, strict=True))


def knn(
    train: NDArray[np.float32], labels: NDArray[np.int64], test: NDArray[np.float32], truth: NDArray[np.int64], k: int
) -> float:
    """Return the accuracy of k cosine neighbours weighted exp(similarity / 0.07)."""
    train, test = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (train, test))
    right = 0
    for start in range(0, len(test), 1000):
        found = torch.from_numpy(test[start : start + 1000] @ train.T).topk(k, sorted=False)
        nearest, weights = found.indices.numpy(), np.exp((found.values.numpy() - 1) / 0.07)
        votes = [(weights * (labels[nearest] == label)).sum(1) for label in range(int(labels.max()) + 1)]
        right += int((np.argmax(votes, axis=0) == truth[start : start + 1000]).sum())
    return right / len(test)


def folders(path: Path) -> tuple[list[bytes], NDArray[np.int64], list[bytes], NDArray[np.int64]]:
    """Return images and labels of train and of test from an archive of folders split/class/image."""
    found: dict[str, list[tuple[bytes, str]]] = {"train": [], "test": []}
    with tarfile.open(path) as archive:
        for member in sorted(archive.getmembers(), key=lambda member: member.name):
            parts = member.name.split("/")
            split = next((part for part in parts if part in found), None)
            file = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if split and file is not None:
                found[split].append((file.read(), parts[-2]))
    names = sorted({label for _, label in found["train"]})
    labels = {split: np.array([names.index(label) for _, label in rows]) for split, rows in found.items()}
    return [r for r, _ in found["train"]], labels["train"], [r for r, _ in found["test"]], labels["test"]


def cifar(root: Path, split: str) -> tuple[list[bytes], NDArray[np.int64]]:
    import pyarrow.parquet as pq

    table = pq.read_table(root / f"cifar10-jpeg/{split}.parquet")
    return [row["bytes"] for row in table["image"].to_pylist()], np.array(table["label"].to_pylist())


@pytest.mark.parametrize("name", ["cifar_resnet20", "cifar_resnet56"])
def test_cifar_resnets_know_lossless_images(real_data: Path, name: str) -> None:
    """With its authors' own head a CIFAR ResNet names 92.6 / 93.8 % of 242 lossless test images."""
    backbone = load(real_data, name)
    path = model_zoo.weights_state(model_zoo.get(name), [real_data]).path
    assert path is not None
    head = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    archive = np.load(io.BytesIO((real_data / "cifar10-jpeg/lossless242.npz").read_bytes()))
    pooled = torch.from_numpy(features(backbone, archive["images"]))
    logits = pooled @ head["module.linear.weight"].T + head["module.linear.bias"]
    right = float((logits.argmax(1).numpy() == archive["labels"]).mean())
    assert right == pytest.approx({"cifar_resnet20": 0.926, "cifar_resnet56": 0.938}[name], abs=0.0005)


@pytest.mark.slow
def test_cifar_resnet_neighbours(real_data: Path) -> None:
    """On re-encoded CIFAR-10, 200 neighbours of ResNet-20's frozen features name 83.4 % of the test images."""
    (raws, labels), (unseen, truth) = cifar(real_data, "train"), cifar(real_data, "test")
    backbone = load(real_data, "cifar_resnet20")
    bank, queries = features(backbone, raws), features(backbone, unseen)
    assert knn(bank, labels, queries, truth, 200) == pytest.approx(0.834, abs=0.002)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "pooling", "expected"),
    [
        ("vae_mnist", "hidden", 0.976),
        ("vae_mnist", "latent_mean", 0.951),
        ("betavae_mnist", "hidden", 0.893),
        ("betavae_mnist", "latent_mean", 0.882),
    ],
)
def test_vae_neighbours(real_data: Path, name: str, pooling: str, expected: float) -> None:
    """On MNIST (20,000 training images) 20 neighbours find 97.6 / 95.1 % (VAE) and 89.3 / 88.2 % (beta-VAE)."""
    mnist = np.load(real_data / "mnist/mnist.npz")
    backbone = load(real_data, name)
    train = features(backbone, mnist["x_train"][:20000], pooling)
    test = features(backbone, mnist["x_test"], pooling)
    labels, truth = (mnist[key].astype(np.int64) for key in ("y_train", "y_test"))
    assert train.shape[1] == {"hidden": 256, "latent_mean": 10}[pooling]
    assert knn(train, labels[:20000], test, truth, 20) == pytest.approx(expected, abs=0.002)


@pytest.mark.slow
def test_shufflenet_neighbours_show_a_wrong_input(real_data: Path) -> None:
    """On Caltech-101 the authors' input (BGR in 0..1) beats RGB, and ImageNet statistics ruin what still loads."""
    statistics = {"mean": images.IMAGENET_MEAN, "std": images.IMAGENET_STD}
    inputs = {"own": {}, "rgb": {"channels": "rgb"}, "normalised": {"channels": "rgb", **statistics}}
    variants = {name: load(real_data, "shufflenetv2_05", **changed) for name, changed in inputs.items()}
    scores = scores_of(variants, real_data / "caltech101/caltech101.tar")
    assert scores["own"] == pytest.approx(0.394, abs=0.015)
    assert scores["own"] > scores["rgb"] > scores["normalised"] + 0.1


@pytest.mark.slow
def test_galileo_neighbours(real_data: Path) -> None:
    """On EuroSAT, 20 neighbours of Galileo-nano's features of visible bands reach 85.3 %; red for blue loses much."""
    variants = {"own": load(real_data, "galileo_nano"), "rgb": load(real_data, "galileo_nano", channels="rgb")}
    scores = scores_of(variants, real_data / "eurosat-rgb/eurosat.tar")
    assert scores["own"] == pytest.approx(0.853, abs=0.005)
    assert scores["own"] > scores["rgb"] + 0.01


def test_trunk_inside_a_detector(real_data: Path) -> None:
    """The trunk is taken out of a detector's file; what does not bear its prefix is left out."""
    folder = real_data / "checkpoints/shufflenetv2_05"
    path = folder / "fastestdet_coco_AP05_0.253207.pth"
    card = model_zoo.get(f"ckpt:{path},family=shufflenetv2")
    backbone = backbones.load(card, LoadContext(model_zoo.weights_state(card).path))
    assert backbone.arch()["width"] == 48
    assert backbone.weights_digest() != load(real_data, "shufflenetv2_05").weights_digest()


def test_wrong_family_is_told(real_data: Path) -> None:
    """A file given as another family's is refused, with the family that it fits."""
    path = real_data / "checkpoints/cifar_resnet/resnet20-12fca82f.th"
    card = model_zoo.get(f"ckpt:{path},family=burgess_vae")
    with pytest.raises(UsageError, match=r"weights\.family = 'cifar_resnet'"):
        backbones.load(card, LoadContext(path))


@pytest.mark.parametrize("channels", [1, 3])
def test_conv4_reads_its_shape_off(real_data: Path, channels: int) -> None:
    """The relation networks' encoders for Omniglot and mini-ImageNet load strictly."""
    name = {1: "omniglot", 3: "miniimagenet"}[channels]
    path = real_data / f"checkpoints/conv4_fewshot/{name}_feature_encoder_5way_1shot.pkl"
    grey = ",channels=grey,mean=[0.92206],std=[0.08426],size=28" if channels == 1 else ""
    backbone = backbones.load(model_zoo.get(f"ckpt:{path},family=conv4{grey}"), LoadContext(path))
    size = 28 if channels == 1 else 84
    assert backbone.forward(torch.rand(2, channels, size, size), "flat").pooled.shape == (
        2,
        64 * (5 if channels == 1 else 19) ** 2,
    )
