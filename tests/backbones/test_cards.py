"""Every model card, and how cards, adapters and weights find each other."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.checkpoints import families
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import digest_file

CARDS = list(model_zoo.names())
EXTRAS = {"huggingface": ("transformers",), "onnx": ("onnx", "onnxruntime")}
"""Packages that an adapter needs and only an extra brings."""


def own_adapter(card: model_zoo.ModelCard, context: LoadContext) -> Backbone:
    return backbones.load(dataclasses.replace(card, adapter="pixels"), context)


@pytest.mark.parametrize("name", model_zoo.ADAPTERS)
def test_every_adapter_is_a_module_with_load(name: str) -> None:
    """An adapter's name is its module's name; skipped where an extra's package is absent."""
    for package in EXTRAS.get(name, ()):
        pytest.importorskip(package)
    assert callable(importlib.import_module(f"ssl_bench.backbones.{name}").load)


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_whole(name: str) -> None:
    """A card can be read, says what it is, and names weights that its adapter knows."""
    card = model_zoo.get(name)
    assert card.title
    if card.adapter == "checkpoint":
        assert card.weights.family in families.names()
        assert card.weights.url.startswith("https://") or card.weights.hub or "by hand" in card.about.note
        assert len(card.weights.sha256) in (0, 64)
    if card.adapter in ("checkpoint", "timm", "torchvision", "open_clip"):
        assert card.about.data
        assert card.about.labels_used is not None
        assert card.about.licence


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in CARDS if model_zoo.get(name).adapter not in ("module", "onnx", "torchhub")]
)
def test_every_card_builds(name: str) -> None:
    """A card's network can be built, offers the card's pooling, and takes its own input.

    Deep networks of checkpoints are cut to two blocks: what their files hold is tested family by family.
    """
    card = model_zoo.get(name)
    if card.adapter == "checkpoint" and {"width", "depth"} <= card.arch.keys():
        card = dataclasses.replace(card, arch={**card.arch, "depth": 2})
    backbone = backbones.load(card, LoadContext(untrained=True))
    channels = 1 if backbone.input.channels == "grey" else 3
    features = backbone.forward(torch.rand(1, channels, *backbone.input.size), backbone.default_pooling)
    assert features.pooled.ndim == 2
    assert features.pooled.isfinite().all()


def test_pinned_file_is_verified(tmp_path: Path) -> None:
    """A weights file other than the pinned one is refused with both digests."""
    path = tmp_path / "resnet20.pth"
    torch.save({"state_dict": families.get("cifar_resnet", "test").build().state_dict()}, path)
    card = model_zoo.get("cifar_resnet20")
    with pytest.raises(UsageError, match=f"{digest_file(path)}.*{card.weights.sha256}"):
        backbones.load(card, LoadContext(path))
    right = dataclasses.replace(card, weights=dataclasses.replace(card.weights, sha256=digest_file(path)))
    assert backbones.load(right, LoadContext(path)).default_pooling == "gap"


def test_missing_checkpoint_is_told() -> None:
    """A checkpoint that is not here is told with its address, its size and the command that gets it."""
    with pytest.raises(MissingError, match=r"resnet20-12fca82f\.th.*, 1 MB\).*ssl-bench fetch --model cifar_resnet20"):
        backbones.load(model_zoo.get("cifar_resnet20"), LoadContext())


def test_adapter_from_a_package() -> None:
    """An adapter of one's own is named by its path; a wrong path is told."""
    card = dataclasses.replace(model_zoo.get("pixels"), adapter=f"{__name__}:own_adapter")
    assert backbones.load(card).default_pooling == "pixels"
    for adapter, said in ((f"{__name__}:own_adaptor", "Did you mean own_adapter"), ("no_lab:Net", "module no_lab")):
        with pytest.raises(UsageError, match=said):
            backbones.load(dataclasses.replace(card, adapter=adapter))
    with pytest.raises(UsageError, match="Did you mean timm"):
        backbones.load(dataclasses.replace(card, adapter="tim"))


def test_options_after_a_name() -> None:
    """Options after a card's name override the card, and change its name and its digest."""
    plain, small = model_zoo.get("cifar_resnet20"), model_zoo.get("cifar_resnet20,size=64,depth=32")
    assert small.input.size == 64
    assert small.arch == {"depth": 32}
    assert small.weights == plain.weights
    assert small.name == "cifar_resnet20,size=64,depth=32"
    assert small.digest != plain.digest
    with pytest.raises(UsageError, match="cifar_resnet20,resize=squish"):
        model_zoo.get("cifar_resnet20,resize=squish")
