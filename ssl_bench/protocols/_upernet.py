"""A copy of a backbone's network inside mmsegmentation's UPerNet, made ready by a recipe: what is trained, and at what
share of the rate."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.backbones import dense, grids, stages
from ssl_bench.backbones.base import Backbone, build_seeded
from ssl_bench.heads import mmseg, relative_positions
from ssl_bench.protocols import _tuned
from ssl_bench.protocols._upernet_recipes import Recipe
from ssl_bench.training import Group

TAPS = (1 / 3, 1 / 2, 2 / 3, 1)
"""Shares of a plain transformer's depth behind which its maps are taken: blocks 3, 5, 7 and 11 of ViT-B."""
FINEST = 4
"""Least stride of a map of stages, as in the published networks of stages."""
STAGES_CHANNELS = 512
"""Of the head on a network of stages, as mmsegmentation's Swin, ConvNeXt and ResNet."""


class Maps(nn.Module):
    """Normalised images to the maps that UPerNet reads, fine before coarse, of one network that may be trained."""

    def __init__(self, backbone: Backbone, asked: Recipe) -> None:
        super().__init__()
        self._backbone = copy.deepcopy(backbone)
        network = self._backbone.network
        assert network is not None
        self.network = network.eval().requires_grad_(True)
        self.plain = stages.is_plain(self._backbone)
        side = _side(asked.crop, dense.stride(backbone))
        if self.plain:
            _set_size(self._backbone, side)
        self.relative = asked.relative and self.plain and relative_positions.add(network, self._grid(side))
        self.dropped = _tuned.drop_paths(network, asked.drop_path)
        self.eval()
        self.layers = _taps(stages.depth(self._backbone)) if self.plain else _stages(self._backbone)
        with torch.no_grad():
            self.widths = [one.shape[1] for one in self(self.blank(asked.crop))]

    def forward(self, images: Tensor) -> list[Tensor]:
        return dense.maps(self._backbone, images, self.layers, norm=False, fit="resize")

    def blank(self, crop: int, images: int = 1) -> Tensor:
        """Return empty crops (images, channels, crop, crop) where the network is."""
        channels = 1 if self._backbone.input.channels == "grey" else 3
        return next(self.network.parameters()).new_zeros(images, channels, crop, crop)

    def _grid(self, side: int) -> tuple[int, int]:
        with torch.no_grad():
            rows, columns = dense.maps(self._backbone, self.blank(side))[0].shape[2:]
        return rows, columns


def _side(crop: int, stride: int) -> int:
    """Return the side that a crop is resized to where it is no multiple of the stride."""
    return max(1, round(crop / stride)) * stride


def _set_size(backbone: Backbone, side: int) -> None:
    """Have the positions of a transformer of timm resized once to crops, so that they are trained at that size."""
    network: Any = backbone.network
    if not hasattr(network, "set_input_size"):
        return
    network.set_input_size(img_size=(side, side))
    backbone.input = dataclasses.replace(backbone.input, size=(side, side), resize="squash", resize_to=0)


def _taps(depth: int) -> list[int]:
    return [max(0, round(depth * share) - 1) for share in TAPS]


def _stages(backbone: Backbone) -> list[int]:
    """Return the numbers of the last four stages that are no finer than FINEST; of the coarsest, where all are."""
    with torch.no_grad():
        every = stages.every(backbone, blank := grids.blank(backbone))
    coarse = [number for number, one in enumerate(every) if round(blank.shape[2] / one.shape[2]) >= FINEST]
    return coarse[-4:] or [len(every) - 1]


class UPerNet(nn.Module):
    """What is trained: mmsegmentation's segmentor around the network."""

    def __init__(self, backbone: Backbone, asked: Recipe, classes: int, synchronised: bool = False) -> None:
        super().__init__()
        maps = Maps(backbone, asked)
        self.channels = asked.channels or (maps.widths[0] if maps.plain else STAGES_CHANNELS)
        self.segmentor = mmseg.Segmentor(
            maps,
            maps.widths,
            classes,
            channels=self.channels,
            plain=maps.plain,
            window=asked.crop,
            window_step=asked.window_step,
            synchronised=synchronised,
        )
        blank = maps.blank(asked.crop)
        self.to(blank.device).eval()
        _tuned.spare_the_unused(self, torch.stack([one.sum() for one in self(blank)]).sum())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        said: tuple[Tensor, Tensor] = self.segmentor(images)
        return said

    @property
    def maps(self) -> Maps:
        """The network, as mmsegmentation's backbone holds it."""
        found: Maps = self.segmentor.model.backbone.network
        return found

    def groups(self, asked: Recipe) -> list[Group]:
        """Return the parameters that are trained, by layer and by whether they decay, from stem to heads.

        As mmsegmentation's LayerDecayOptimizerConstructor, whose code means to spare tokens and positions the decay,
        and does not: it looks for them by names that they do not have.
        """
        return _tuned.grouped(self, self.maps.network, asked.layer_decay, asked.decay, _decays, "segmentation_upernet")


def _decays(name: str, parameter: nn.Parameter) -> bool:
    return parameter.ndim > 1 and not name.endswith(".bias")


def upernet(backbone: Backbone, asked: Recipe, classes: int, seed: int, synchronised: bool = False) -> UPerNet:
    """Return the network that a recipe starts from; `seed` draws the heads."""
    return build_seeded(lambda: UPerNet(backbone, asked, classes, synchronised), seed)  # type: ignore[return-value]
