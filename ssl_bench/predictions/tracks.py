"""The objects of a video's first frame in the frames that follow, and how well their regions and contours are met.

Region J is the intersection over the union of an object's pixels; contour F the harmonic mean of precision and recall
of its contour's pixels, which are met where one of the other contour is no farther than 0.8 % of the image's diagonal.
Both are means over the frames between the first, which is given, and the last, as in DAVIS's own evaluation
(Perazzi et al., CVPR 2016; Pont-Tuset et al., 2017; github.com/davisvideochallenge/davis2017-evaluation). Pixels that
count for nothing are counted as none of the objects, as there.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions.base import Ints, Predictions, Truth
from ssl_bench.targets import Mask, videos

NEAR = 0.008
"""Share of the diagonal that a contour may be off."""
Bools = NDArray[np.bool_]


def region(said: Bools, true: Bools) -> float:
    """Return J of an object's pixels (height, width); 1 where there are none in either."""
    union = int((said | true).sum())
    return int((said & true).sum()) / union if union else 1.0


def contour(said: Bools, true: Bools) -> float:
    """Return F of an object's pixels (height, width); where one has no contour its precision or recall is 1."""
    from scipy.ndimage import distance_transform_edt

    near = math.ceil(NEAR * math.hypot(*said.shape))
    edges = [_edges(said), _edges(true)]
    counts = [int(edge.sum()) for edge in edges]
    if not all(counts):
        return float(counts[0] == counts[1])
    rows, columns = (np.flatnonzero((edges[0] | edges[1]).any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)  # what lies outside is near to none
    inside = [edge[part] for edge in edges]
    met = [
        int((one & (distance_transform_edt(~other) <= near)).sum())
        for one, other in ((inside[0], inside[1]), (inside[1], inside[0]))
    ]
    precision, recall = met[0] / counts[0], met[1] / counts[1]
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _edges(pixels: Bools) -> Bools:
    """Return the pixels that differ from the next to the right, below, or both; at the border from those there are."""
    right, below, both = (np.zeros_like(pixels) for _ in range(3))
    right[:, :-1], below[:-1], both[:-1, :-1] = pixels[:, 1:], pixels[1:], pixels[1:, 1:]
    edges = (pixels ^ right) | (pixels ^ below) | (pixels ^ both)
    edges[-1] = pixels[-1] ^ right[-1]
    edges[:, -1] = pixels[:, -1] ^ below[:, -1]
    edges[-1, -1] = False
    return edges


@dataclasses.dataclass(frozen=True, eq=False)
class Tracks(Predictions):
    """The objects of every frame of test, at its own size."""

    kind: ClassVar[str] = "frames"

    maps: Sequence[NDArray[np.uint8]]  # (height, width) each, video by video as `videos.draw`; a `Spool` keeps them
    frames: Ints  # (maps,): position in test of the frame that each is of

    @property
    def asked(self) -> int:
        return len(self.maps)

    def of_image(self, index: int, size: tuple[int, int]) -> Mask | None:
        places = np.flatnonzero(self.frames == index)
        return Mask(self.maps[int(places[0])]) if len(places) else None

    def judged(self, truth: Truth) -> TrackScores:
        """Return each object's scores; raise DataError for maps that are not of the videos' frames, and for videos of
        fewer than three frames, of which none counts."""
        if truth.dense is None:
            raise DataError("this task has no videos")
        rows: list[tuple[str, int, int, float, float]] = []
        start = 0
        drawn = videos.draw(truth.dense)
        if not np.array_equal(self.frames, np.concatenate([video.frames for video in drawn])):
            raise DataError(f"{len(self.maps)} maps came back, which are not of the frames of the {len(drawn)} videos")
        for video in drawn:
            counted = range(1, len(video.frames) - 1)
            if not counted:
                raise DataError(f"the video {video.name!r} has {len(video.frames)} frames; the least is 3")
            scores = np.zeros((len(counted), video.objects, 2))
            for row, number in enumerate(counted):
                said, true = self.maps[start + number], truth.dense[int(video.frames[number])].labels
                if said.shape != true.shape:
                    raise DataError(f"frame {number} of {video.name!r} is of {true.shape}, its map of {said.shape}")
                for one in range(video.objects):
                    pair = said == one + 1, true == one + 1
                    scores[row, one] = region(*pair), contour(*pair)
            means = scores.mean(axis=0)
            rows += [(video.name, one + 1, len(counted), *means[one].tolist()) for one in range(video.objects)]
            start += len(video.frames)
        names, numbers, frames, regions, contours = zip(*rows, strict=True)
        return TrackScores(
            names, np.array(numbers), np.array(frames), np.array(regions, dtype=float), np.array(contours, dtype=float)
        )

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class TrackScores(Predictions):
    """What came of comparing objects: a row for every object of every video."""

    kind: ClassVar[str] = "tracks"

    videos: tuple[str, ...]
    objects: Ints  # (objects,): number within the video, from 1
    frames: Ints  # (objects,): how many count
    regions: NDArray[np.float64]  # (objects,): mean J
    contours: NDArray[np.float64]  # (objects,): mean F

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {
            "sample_id": list(self.videos),
            "object": self.objects,
            "frames": self.frames,
            "region": self.regions,
            "contour": self.contours,
        }
