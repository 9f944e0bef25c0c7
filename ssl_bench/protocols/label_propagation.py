"""Label propagation: the objects of a video's first frame are carried from frame to frame by the likeness of places.

It is DINO's (eval_video_segmentation.py of https://github.com/facebookresearch/dino), after Jabri et al. (NeurIPS
2020): frames have a short side of 480 pixels and a long one that is a multiple of 64; each place of a frame takes the
labels of the five places most like it among those no more than 12 rows and columns away in the first frame and the
seven before, weighted by exp(cosine / 0.1); each object's map is spread to the frame and stretched to 0 … 1, and every
pixel takes the largest. Nothing is trained. Differences: frames are scaled with antialiasing, by the model's own mean
and deviation (the authors' have 0.228 for 0.229); an object too small for the map keeps its number; a stride that does
not divide these sides makes them its multiples.

Expect minutes on a GPU for DAVIS; a map of stride 8 takes four times as many places, and sixteen times the comparisons.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError
from ssl_bench.images import normalise
from ssl_bench.images.dense import resized
from ssl_bench.predictions.spool import Spool
from ssl_bench.predictions.tracks import Tracks
from ssl_bench.protocols import _dense, base

if TYPE_CHECKING:
    from torch import Tensor

    from ssl_bench.backbones.base import Backbone
    from ssl_bench.targets.videos import Video

MULTIPLE = 64
"""The long side of a frame is a multiple of this."""
BLOCK = 1 << 26
"""Likenesses that are held at once."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """The labels of like places."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("video",)
    reads: ClassVar[tuple[str, ...]] = ("test",)

    size: int = 480
    """Length of a frame's short side."""
    kept: int = 7
    """Frames before that are compared with, besides the first."""
    top: int = 5
    """Places that a place takes its labels from."""
    radius: int = 12
    """Rows and columns that these may be away."""
    temperature: float = 0.1

    def __post_init__(self) -> None:
        if min(self.size, self.kept, self.top) < 1 or self.radius < 0 or self.temperature <= 0:
            raise UsageError("label_propagation: size, kept and top from 1, radius from 0, temperature above 0")

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return every frame once."""
        return base.Passes({}, crops=sizes["test"])

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the first frame's objects where they were, for every frame."""
        found: Any = Spool()
        for video in trial.supply.videos():
            for _ in video.frames:
                found.append(video.first)
        return base.Answer(Tracks(found, frames_of(trial.supply.videos())))

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the objects in every frame of every video, at its own size.

        Raises UsageError for a model without maps of an image's parts, or one that takes no frames of this size.
        """
        import torch

        from ssl_bench.backbones import dense

        backbone = _dense.ready(trial, "label_propagation")
        step = dense.stride(backbone)
        found: Any = Spool()
        videos = trial.supply.videos()
        with torch.no_grad(), trial.track("frames", sum(len(one.frames) for one in videos), "frames") as advance:
            for video in videos:
                side = self._sides(video, step)
                for labels in self._followed(video, self._maps(trial, backbone, video, side), side):
                    found.append(labels)
                    advance(1)
        return base.Answer(Tracks(found, frames_of(videos)), selected={"videos": len(videos), "stride": step})

    def _sides(self, video: Video, step: int) -> tuple[int, int]:
        """Return the height and width that a video's frames are scaled to."""
        height, width = video.first.shape
        long = int(self.size * max(height, width) / min(height, width)) // MULTIPLE * MULTIPLE
        short, long = (max(step, side // step * step) for side in (self.size, max(long, self.size)))
        return (short, long) if height <= width else (long, short)

    def _maps(self, trial: base.Trial, backbone: Backbone, video: Video, side: tuple[int, int]) -> Iterator[Tensor]:
        """Give each frame's map (dim, rows, columns), of length 1 at each place."""
        import torch

        def scaled(image: NDArray[np.uint8], _target: Any, _generator: np.random.Generator) -> NDArray[np.uint8]:
            return resized(image, side)

        for shown in trial.prepared("test", scaled, video.frames):
            image = normalise(torch.from_numpy(shown)[None].to(trial.device), backbone.input)
            yield torch.nn.functional.normalize(_dense.features(trial, backbone, image)[0], dim=0)

    def _followed(self, video: Video, maps: Iterator[Tensor], side: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
        """Give the objects of each frame, the first as they are given."""
        first = next(maps)
        given = one_hot(video, first)
        before: collections.deque[tuple[Tensor, Tensor]] = collections.deque(maxlen=self.kept)
        yield video.first
        for seen in maps:
            known = [(first, given), *before]
            labels = carried(seen, known, self.top, self.radius, self.temperature)
            before.append((seen, labels))
            yield largest(labels, side, (video.first.shape[0], video.first.shape[1]))


def frames_of(videos: Sequence[Video]) -> base.IntArray:
    """Return the positions in test of the frames, video by video."""
    return np.concatenate([video.frames for video in videos]).astype(np.int64)


def one_hot(video: Video, first: Tensor) -> Tensor:
    """Return the first frame's objects as shares of 0 and 1 (objects + 1, rows, columns) of the map's places."""
    import torch
    from PIL import Image

    small = Image.fromarray(video.first).resize((first.shape[2], first.shape[1]), Image.Resampling.NEAREST)
    labels = torch.from_numpy(np.array(small)).long().to(first.device)
    return torch.nn.functional.one_hot(labels, video.objects + 1).permute(2, 0, 1).float()


def carried(seen: Tensor, known: list[tuple[Tensor, Tensor]], top: int, radius: int, temperature: float) -> Tensor:
    """Return the labels (classes, rows, columns) of a map's places (dim, rows, columns), of length 1 each.

    `known` holds maps of the same size and their labels. Of equally like places the first is taken.
    """
    import torch

    rows, columns = seen.shape[1:]
    places = torch.stack(
        torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    ).flatten(1).to(seen.device)  # fmt: skip
    bank = torch.cat([one.flatten(1) for one, _ in known], dim=1)
    labels = torch.cat([one.flatten(1) for _, one in known], dim=1)  # (classes, known · places)
    found = []
    block = max(1, BLOCK // bank.shape[1])
    for query, place in zip(torch.split(seen.flatten(1), block, 1), torch.split(places, block, 1), strict=True):
        near = ((place[:, :, None] - places[:, None, :]).abs() <= radius).all(dim=0)
        likeness = (query.T @ bank).masked_fill(~near.repeat(1, len(known)), -torch.inf)
        best, where = likeness.topk(min(top, likeness.shape[1]), dim=1)
        weights = torch.softmax(best / temperature, dim=1)  # those too far away weigh nothing
        found.append((labels[:, where] * weights).sum(dim=2))
    return torch.cat(found, dim=1).reshape(len(labels), rows, columns)


def largest(labels: Tensor, side: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the class of every pixel of a frame of `size`, whose map (classes, rows, columns) is of it as `side`."""
    from PIL import Image
    from torch.nn.functional import interpolate

    wide = interpolate(labels[None], size=side, mode="bilinear", align_corners=False)[0]
    low = wide.amin(dim=(1, 2), keepdim=True)
    span = wide.amax(dim=(1, 2), keepdim=True) - low
    stretched = (wide - low) / span.where(span > 0, span + 1)
    chosen = stretched.argmax(dim=0).byte().cpu().numpy()
    return np.asarray(Image.fromarray(chosen).resize((size[1], size[0]), Image.Resampling.NEAREST))
