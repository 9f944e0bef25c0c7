"""Object discovery: a box around the object of an image, by what its places have in common, and no label looked at.

It is LOST (Siméoni et al., BMVC 2021; object_discovery.py of https://github.com/valeoai/LOST): of an image at its own
size, padded behind to whole places, the place that is positively correlated with the fewest others is the seed; with
the 100 such places that come first, those alike to the seed vote for every place, and the connected places with a
positive vote around the seed span the box. Places are compared by the keys of the last attention, or, where a network
has none of the usual form, by the last map normed over the whole of it, as its authors do with ResNets; `selected` says
which.

The authors look at VOC's and COCO's images to train on; here it is test's, so that a card names those as test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.images import normalise
from ssl_bench.predictions.discoveries import Discoveries
from ssl_bench.protocols import _dense, base

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ssl_bench.backbones.base import Backbone


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """The box of the places that are alike to one that is like few."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = True
    metric: ClassVar[str] = "corloc"
    kinds: ClassVar[tuple[str, ...]] = ("detection",)
    reads: ClassVar[tuple[str, ...]] = ("test",)

    features: Literal["keys", "map"] = "keys"
    """What places are compared by; a network without keys of the usual form is compared by its map."""
    places: int = 100
    """How many of the places that are like few others may vote."""

    def __post_init__(self) -> None:
        if self.places < 1:
            raise UsageError(f"object_discovery: places must be 1 or more, not {self.places}")

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return every test image once."""
        return base.Passes({}, crops=sizes["test"])

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the whole of every image."""

        def whole(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> list[int]:
            return [0, 0, image.shape[1], image.shape[0]]

        return base.Answer(
            Discoveries(np.array(list(trial.prepared("test", whole, np.arange(trial.sizes["test"]))), dtype=np.float64))
        )

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a box in every test image.

        Raises UsageError for a model without maps of an image's parts, or one that takes no images of these sizes.
        """
        import torch
        from torch.nn import functional

        from ssl_bench.backbones import dense

        backbone = _dense.ready(trial, "object_discovery")
        step, layer = dense.stride(backbone), _keys(backbone) if self.features == "keys" else None
        boxes = []

        def whole(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> NDArray[np.uint8]:
            return np.ascontiguousarray(image[None] if image.ndim == 2 else image.transpose(2, 0, 1))

        with torch.no_grad(), trial.track("test", trial.sizes["test"], "images") as advance:
            for shown in trial.prepared("test", whole, np.arange(trial.sizes["test"])):
                image = normalise(torch.from_numpy(shown)[None].to(trial.device), backbone.input)
                image = functional.pad(image, (0, -image.shape[3] % step, 0, -image.shape[2] % step))
                boxes.append(discovered(_seen(trial, backbone, image, layer), shown.shape[1:], step, self.places))
                advance(1)
        said = {"features": "map" if layer is None else "keys", "stride": step}
        return base.Answer(Discoveries(np.array(boxes, dtype=np.float64)), selected=said)


def _keys(backbone: Backbone) -> nn.Module | None:
    """Return the layer that gives queries, keys and values of the last block side by side; None where there is none."""
    blocks: Any = getattr(backbone.network, "blocks", None)
    try:
        found = blocks[-1].attn.qkv
    except (AttributeError, IndexError, TypeError):
        return None
    outputs, inputs = getattr(found, "out_features", 0), getattr(found, "in_features", 0)
    return found if outputs == 3 * inputs > 0 else None  # type: ignore[no-any-return]


def _seen(trial: base.Trial, backbone: Backbone, image: Tensor, layer: nn.Module | None) -> Tensor:
    """Return what an image's places are compared by (dim, rows, columns)."""
    from torch.nn import functional

    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _layer, _input, output: kept.append(output)) if layer else None
    try:
        found = _dense.features(trial, backbone, image)[0]
    finally:
        if handle is not None:
            handle.remove()
    rows, columns = found.shape[1:]
    if not kept:
        return functional.layer_norm(found, found.shape)
    keys = kept[-1].float().chunk(3, dim=-1)[1].reshape(-1, kept[-1].shape[-1] // 3)
    return keys[len(keys) - rows * columns :].T.reshape(-1, rows, columns)  # tokens of no place come first


def discovered(seen: Tensor, size: tuple[int, ...], step: int, places: int) -> NDArray[np.float64]:
    """Return the box (left, top, right, bottom) in an image of this height and width, by its map (dim, rows, columns).

    Of places that are like equally few the first, row by row, comes first.
    """
    from scipy import ndimage

    rows, columns = seen.shape[1:]
    flat = seen.flatten(1).T
    alike = flat @ flat.T
    others = (alike > 0).sum(dim=1) - (alike.diagonal() > 0).int()
    order = others.argsort(stable=True)
    voters = order[:places]
    votes = alike[voters[alike[order[0], voters] > 0]].sum(dim=0)
    parts, _ = ndimage.label((votes > 0).reshape(rows, columns).cpu().numpy())
    row, column = divmod(int(order[0]), columns)
    inside = parts == parts[row, column]
    down, across = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    box = np.array([across[0], down[0], across[-1] + 1, down[-1] + 1], dtype=np.float64) * step
    return np.minimum(box, [size[1], size[0], size[1], size[0]])
