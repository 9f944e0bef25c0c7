"""Stochastic depth of several libraries' networks, drawn by seed, step and place."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ssl_bench.training import train
from ssl_bench.training.depth import Depth
from tests.training import small


def _timm() -> nn.Module:
    return small.network(drop_path=0.5)


def _torchvision() -> nn.Module:
    import torchvision

    blocks = [torchvision.models.convnext.CNBlockConfig(8, None, 2)]
    return torchvision.models.ConvNeXt(blocks, stochastic_depth_prob=0.5, num_classes=small.CLASSES)


class _HuggingFace(nn.Module):
    """DINOv2 of two blocks, each of which calls one module twice."""

    def __init__(self) -> None:
        super().__init__()
        transformers = pytest.importorskip("transformers")
        config = transformers.Dinov2Config(
            hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=16, patch_size=8, drop_path_rate=0.5
        )
        self.network, self.head = transformers.Dinov2Model(config), nn.Linear(16, small.CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.network(images).pooler_output)


@pytest.mark.parametrize(("build", "found"), [(_timm, 2), (_torchvision, 1), (_HuggingFace, 2)])
def test_what_a_batch_skips_does_not_depend_on_how_it_is_cut(build: Callable[[], nn.Module], found: int) -> None:
    """The modules of timm, torchvision and Hugging Face that drop anything are found, drop alike in parts and in the
    whole, and are in their places again afterwards."""
    losses = []
    for at_once in (12, 5):
        torch.manual_seed(0)
        network = build().double()
        before = dict(network.named_modules())
        run = train(
            network,
            small.groups(network),
            small.batches(12, torch.float64),
            small.settings(steps=3, warmup=0),
            seed=0,
            at_once=at_once,
        )
        losses.append(run.losses)
        assert dict(network.named_modules()) == before
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    depth = Depth(network, 12)
    assert len(depth.drops) == found
    depth.undo()


def test_images_skip_as_often_as_they_should_and_the_others_make_up_for_it() -> None:
    """Of 4,000 images a quarter skips at 0.25, each call draws anew, and the mean is kept."""
    from timm.layers import DropPath

    network = nn.Sequential(nn.Linear(1, 1), DropPath(0.25))
    depth = Depth(network, 4000)
    depth.draw(0, 0)
    depth.show(torch.arange(4000))
    first, second = (network[1](torch.ones(4000, 3)) for _ in range(2))
    assert float((first == 0).all(dim=1).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float(first.mean()) == pytest.approx(1.0, abs=0.03)
    assert not torch.equal(first, second)
    assert torch.equal(network.eval()[1](torch.ones(4000, 3)), torch.ones(4000, 3))
