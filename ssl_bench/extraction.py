"""Images of a split through a backbone, batch by batch; on a GPU copies and forward passes overlap."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.errors import UsageError, is_out_of_memory
from ssl_bench.files import digest_json
from ssl_bench.images import Augmentation, InputSpec, normalise
from ssl_bench.loading import Crop, Work, batches, on_device

if TYPE_CHECKING:
    from torch import Tensor

CACHE_VERSION = 1
"""Rises when decoding, transforming or storing changes a feature."""
PRECISION = "float32"
PRECISIONS = (PRECISION, "bfloat16", "float16")
"""Of the arithmetic inside the network, by torch.autocast. Features are kept in float32, and in half the space for
float16: rounding float32 features so moved up to 0.25 % of kNN's predictions on real data, so it is never done unasked.
"""
DENSE = "dense"
"""The name of the map among the poolings of a feature spec."""
TURNS = {"rot90": 1, "rot180": 2, "rot270": 3}
"""Quarter turns anticlockwise."""
CROPS = {f"crop{number}": Crop(number, Augmentation(scale=(0.2, 1.0))) for number in range(10)}
"""Random crops of an image, flipped or not: what each shows depends on its number and the image alone.

They are cropped as by transform B of WangYueFt/rfs, dataset/transform_cfg.py, for images of any size."""
VIEWS = ("", *TURNS, *CROPS)
"""Changes of every image."""


@dataclasses.dataclass(frozen=True)
class Spec:
    """What causes a feature, besides the image."""

    weights_digest: str
    arch: Mapping[str, Any]
    input: InputSpec
    pooled: str
    """The resolved pooling."""
    precision: str = PRECISION
    view: str = ""
    """A change of every image before the network sees it, of `VIEWS`."""

    @property
    def resolved(self) -> dict[str, Any]:
        """The record's account of the features that were used."""
        return {"input": cards.plain(self.input), "pooled": self.pooled, "precision": self.precision}

    @property
    def key(self) -> str:
        """sha256 (hex) of all that causes a feature."""
        return digest_json(
            {
                "arch": cards.plain(self.arch),
                "cache": CACHE_VERSION,
                "weights": self.weights_digest,
                **self.resolved,
                **({"view": self.view} if self.view else {}),
            }
        )


def compute(
    backbone: Backbone, spec: Spec, split: Split, digests: NDArray[np.uint8], positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Get the features of the images at `positions`, from the network or from what the backbone knows of them."""
    if backbone.recalls and spec.view:
        raise UsageError("these features came without a network, so none can be had of turned or cropped images")
    if not backbone.recalls:
        yield from forward(backbone, spec, split, positions, work)
    elif len(positions):
        yield positions, backbone.recall(digests[positions]).pooled.float().cpu().numpy()


def forward(
    backbone: Backbone, spec: Spec, split: Split, positions: NDArray[np.int64], work: Work
) -> Iterator[tuple[NDArray[np.int64], NDArray[Any]]]:
    """Pass the images at `positions` through the network, batch by batch: (positions, features (images, …)).

    A GPU has the next batch before the features of the last are asked for, so that it never waits.
    """
    run = _Pass(backbone, spec, work)
    behind = 1 if run.device.type == "cuda" else 0
    passed: collections.deque[tuple[NDArray[np.int64], _Fetched]] = collections.deque()
    for chosen, images in on_device(batches(split, spec.input, positions, work, CROPS.get(spec.view)), work):
        passed.append((chosen, _Fetched(run(images))))
        if len(passed) > behind:
            done, features = passed.popleft()
            yield done, features.array()
    for done, features in passed:
        yield done, features.array()


class _Fetched:
    """Features on their way from the device, which nobody waits for until they are asked for."""

    def __init__(self, features: Tensor) -> None:
        import torch

        self.features = features.to("cpu", non_blocking=True)
        self.copied = torch.cuda.current_stream(features.device).record_event() if features.is_cuda else None

    def array(self) -> NDArray[Any]:
        if self.copied is not None:
            self.copied.synchronize()
        found: NDArray[Any] = self.features.numpy()
        return found


class _Pass:
    """Images through a network, in parts that fit into memory."""

    def __init__(self, backbone: Backbone, spec: Spec, work: Work) -> None:
        import torch

        self.backbone, self.spec, self.device = backbone, spec, torch.device(work.device)
        self.most = work.images_at_once
        if backbone.network is not None:
            backbone.network.to(self.device).eval()
        self.say = torch.compile(backbone.forward) if work.compile else backbone.forward

    def __call__(self, images: Tensor) -> Tensor:
        """Return the features, on the device, of uint8 images (images, channels, height, width)."""
        import torch

        parts: list[Tensor] = []
        done = 0
        while done < len(images):
            part = images[done : done + self.most]
            try:
                parts.append(self._features(part))
                done += len(part)
            except (RuntimeError, MemoryError) as error:
                if len(part) == 1 or not is_out_of_memory(error):
                    raise
                self.most = (len(part) + 1) // 2
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def _features(self, images: Tensor) -> Tensor:
        import torch

        lower = self.spec.precision != PRECISION
        cast = torch.autocast(self.device.type, getattr(torch, self.spec.precision), enabled=lower)
        with torch.inference_mode(), cast, _fitting(self.spec.input):
            batch = normalise(images, self.spec.input)
            if self.spec.view in TURNS:
                batch = torch.rot90(batch, TURNS[self.spec.view], (2, 3))
            return self._said(batch)

    def _said(self, batch: Tensor) -> Tensor:
        """Return the pooling (images, dim), or the map (images, dim, height, width), float16."""
        if self.spec.pooled != DENSE:
            pooled = self.say(batch, self.spec.pooled).pooled
            return pooled.half() if self.spec.precision == "float16" else pooled.float()
        dense = self.say(batch, self.backbone.default_pooling).dense
        if dense is None:
            raise UsageError("this model gives no map of features, which the protocol needs")
        return dense.half()


@contextlib.contextmanager
def _fitting(spec: InputSpec) -> Iterator[None]:
    """Say in one line that a network refuses its input; what ran out of memory says so itself."""
    try:
        yield
    except (AssertionError, RuntimeError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        height, width = spec.size
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"the network refuses {spec.channels} images of {height}x{width} pixels: {reason}") from error
