"""A backbone's last map, of images of any size, and what a place of it stands for."""

from __future__ import annotations

import math
import weakref

import torch
from torch import Tensor

from ssl_bench.backbones.base import Backbone
from ssl_bench.errors import SslBenchError, UsageError, is_out_of_memory

LARGER = 4
"""How many times larger an image is measured with where the model's own leaves a stride open."""
_MEASURED: weakref.WeakKeyDictionary[Backbone, tuple[int, int]] = weakref.WeakKeyDictionary()
"""Stride and dim of backbones that were asked before."""


def final(backbone: Backbone, images: Tensor) -> Tensor:
    """Return the map (images, dim, rows, columns) that the model's own features are pooled from.

    Raises UsageError naming the model where it has none, or takes no images of this size.
    """
    try:
        found = backbone.forward(images, backbone.default_pooling).dense
    except SslBenchError:
        raise
    except (AssertionError, RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        height, width = backbone.input.size
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(
            f"{named(backbone)} takes no images of {images.shape[3]}x{images.shape[2]} pixels: {why}. Its own size is "
            f"{width}x{height}"
        ) from error
    if found is None:
        raise UsageError(f"{named(backbone)} has no map of an image's parts, only a vector of the whole")
    return outside_inference(found)


def outside_inference(found: Tensor) -> Tensor:
    """Return a tensor that a head may be trained on."""
    return found.clone() if found.is_inference() and not torch.is_inference_mode_enabled() else found


def stride(backbone: Backbone) -> int:
    """Return how many pixels a row of the map stands for, measured with an image of the model's own size.

    Raises UsageError naming the model where it has no map, or where rows and columns stand for different lengths.
    """
    return _measured(backbone)[0]


def dim(backbone: Backbone) -> int:
    """Return how many values the last map has for each place."""
    return _measured(backbone)[1]


def blank(backbone: Backbone, size: tuple[int, int] | None = None) -> Tensor:
    """Return an empty image (1, channels, height, width) of this or the model's own size, where the network is."""
    shape = (1, 1 if backbone.input.channels == "grey" else 3, *(size or backbone.input.size))
    own = next(iter(backbone.network.parameters()), None) if backbone.network is not None else None
    return torch.zeros(shape) if own is None else own.new_zeros(shape)


def named(backbone: Backbone) -> str:
    """Return what a model is called in a complaint."""
    arch = backbone.arch()
    arch = arch.get("of", arch)
    name = next((arch[key] for key in ("name", "family", "factory") if arch.get(key)), "")
    return f"the model {arch.get('class', type(backbone).__name__)}{f' ({name})' if name else ''}"


def _measured(backbone: Backbone) -> tuple[int, int]:
    if backbone not in _MEASURED:
        with torch.no_grad():
            _MEASURED[backbone] = _measure(backbone)
    return _MEASURED[backbone]


def _measure(backbone: Backbone) -> tuple[int, int]:
    height, width = backbone.input.size
    _, channels, rows, columns = final(backbone, one := blank(backbone)).shape
    if height % rows or width % columns:  # rounded up, or less an edge: only what a larger image adds is regular
        _, _, more, wider = final(backbone, one.repeat(1, 1, LARGER, LARGER)).shape
        height, rows, width, columns = (LARGER - 1) * height, more - rows, (LARGER - 1) * width, wider - columns
    lengths = [_whole(side / max(count, 1)) for side, count in ((height, rows), (width, columns))]
    if lengths[0] != lengths[1]:
        raise UsageError(
            f"{named(backbone)} has maps whose rows stand for {lengths[0]} pixels and whose columns for {lengths[1]}"
        )
    return lengths[0], channels


def _whole(length: float) -> int:
    """Return a length in whole pixels: the nearest power of two within a twentieth, else the nearest number."""
    power: int = 2 ** round(math.log2(length))
    return power if abs(length / power - 1) < 1 / 20 else round(length)
