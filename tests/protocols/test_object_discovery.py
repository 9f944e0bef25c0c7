"""object_discovery: a seed by hand, keys of a transformer, and cells of blood."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import ssl_bench
from ssl_bench import backbones
from ssl_bench.api import module_card
from ssl_bench.errors import UsageError
from ssl_bench.protocols import get
from ssl_bench.protocols.base import Supply, Trial
from ssl_bench.protocols.object_discovery import discovered
from ssl_bench.results import rescore
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings


def scene() -> torch.Tensor:
    """Places (2, 6, 8) of a background in one direction, and of an object of 2 by 3 places in the opposite one."""
    seen = torch.zeros(2, 6, 8)
    seen[0] = 1.0
    seen[:, 2:4, 3:6] = torch.tensor([-1.0, 0.1])[:, None, None]
    return seen


def test_the_object_is_like_few_places() -> None:
    """The box is of the places around the seed, in pixels, and ends where the image does."""
    assert discovered(scene(), (96, 128), 16, 100).tolist() == [48, 32, 96, 64]
    assert discovered(scene()[:, :4, :6], (60, 90), 16, 100).tolist() == [48, 32, 90, 60]


def test_voters() -> None:
    """Without others that vote, the seed's own likeness alone makes the box; those like it may widen it."""
    seen = torch.zeros(3, 5, 9)
    seen[0] = 1.0
    seen[:, 2, 2] = torch.tensor([-1.0, 0.0, 1.0])  # the seed: like the second alone
    seen[:, 2, 3] = torch.tensor([-0.5, 1.0, 0.5])
    seen[:, 2, 4] = torch.tensor([0.3, 1.0, -0.2])  # like the second, and the background
    assert discovered(seen, (80, 144), 16, 1).tolist() == [32, 32, 64, 48]
    assert discovered(seen, (80, 144), 16, 2).tolist() == [32, 32, 80, 48]


class Attending(nn.Module):
    """A network with one block whose keys are what its places are: the queries and values tell nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.AvgPool2d(8)
        block = nn.Module()
        block.attn = nn.Module()
        block.attn.qkv = nn.Linear(3, 9, bias=False)
        with torch.no_grad():
            block.attn.qkv.weight.zero_()
            block.attn.qkv.weight[3:6] = torch.eye(3)
        self.blocks = nn.ModuleList([block])

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.patches(images)
        tokens = maps.flatten(2).transpose(1, 2)
        self.blocks[-1].attn.qkv(torch.cat([tokens[:, :1] * 0, tokens], dim=1))  # type: ignore[union-attr, operator]
        return maps * 0 + 1


class Images(Supply):
    """Pictures of 40 by 56 pixels from memory, each with a bright square."""

    def prepared(self, split: str, prepare: Any, order: np.ndarray, places: np.ndarray | None = None) -> Iterator[Any]:
        for position in order.tolist():
            image = np.full((40, 56, 3), 20, np.uint8)
            image[8 : 8 + 16, 8 * position : 8 * position + 16] = 230
            yield prepare(image, None, np.random.default_rng(0))


def boxes(network: nn.Module, protocol: str) -> tuple[list[list[float]], dict[str, Any]]:
    stated = {"size": 64, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    backbone = backbones.given(module_card(network, stated, "mine"), network)
    trial = Trial(classes=1, seed=0, sizes={"train": 1, "test": 3}, labels={}, supply=Images(), backbone=backbone)
    answer = get(protocol).predict(trial)
    return answer.predictions.boxes.tolist(), dict(answer.selected)  # type: ignore[attr-defined]


def test_keys_are_compared() -> None:
    """Keys of the last attention, less those of tokens of no place, are what places are compared by, and the map, which
    here says nothing, where the recipe says so."""
    found, said = boxes(Attending(), "object_discovery")
    assert said == {"features": "keys", "stride": 8}
    assert found == [[left, 8, left + 16, 24] for left in (0, 8, 16)]
    found, said = boxes(Attending(), "object_discovery,features=map")
    assert said["features"] == "map"
    assert found == [[0, 0, 56, 40]] * 3


def test_a_network_without_keys() -> None:
    """A convolutional network is compared by its map."""
    found, said = boxes(nn.Sequential(nn.AvgPool2d(8)), "object_discovery")
    assert said["features"] == "map"
    assert found == [[left, 8, left + 16, 24] for left in (0, 8, 16)]


@pytest.mark.slow
def test_from_data_to_record(real_data: Path, own_settings: Settings) -> None:
    """Cells of blood: the record's figure follows from its table, and what is blind says the whole image."""
    folders = {name: getattr(own_settings, name) for name in ("cache", "results")}
    for model in ("module:tests.rooms:network,size=64", "majority"):
        outcome = ssl_bench.run(
            model, task="bccd", protocol="object_discovery", data=real_data, **folders, device="cpu", workers=0,
            progress="none", limit=6,
        )  # fmt: skip
        [record] = outcome.written
        table = Results(own_settings.results).read_samples(record)
        assert list(rescore.contradictions(record, table)) == []
    assert (table["best_overlap"] < 0.5).all()
    assert (table["objects"] > 0).all()


def test_places_that_are_none() -> None:
    """At least one place must vote."""
    with pytest.raises(UsageError, match="places must be 1 or more"):
        get("object_discovery,places=0")


def test_equal_places() -> None:
    """A map that is the same everywhere, and one of zeros, give the whole image."""
    for seen in (torch.ones(3, 4, 5), torch.zeros(3, 4, 5)):
        np.testing.assert_array_equal(discovered(seen, (64, 80), 16, 100), [0, 0, 80, 64])
