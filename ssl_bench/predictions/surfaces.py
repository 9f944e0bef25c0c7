"""What protocols say of the surfaces that an image shows, a distance or a direction for every pixel, and how far it is
from the truth, image by image.

What is known of a pixel counts alone; of an image of which nothing is known no error is told (NaN).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions.base import Predictions, Truth
from ssl_bench.targets import Directions, Distances, Targets

Values = NDArray[np.float64]
DISTANCE_ERRORS = ("abs_rel", "sq_rel", "rmse", "mae", "rmse_log", "log10", "silog", "a1", "a2", "a3")
"""What is told of an image's distances; see `distance_errors`."""
DIRECTION_ERRORS = ("angle_mean", "angle_median", "angle_rmse", "within_11", "within_22", "within_30")
"""What is told of an image's directions; see `direction_errors`."""


def distance_errors(said: Values, true: Values) -> dict[str, float]:
    """Return the errors of distances `said` (pixels,) against `true` ones, both in metres and above 0.

    These are Eigen et al.'s (NeurIPS 2014), as DINOv3's eval/depth/metrics.py has them: `abs_rel` mean |s - t| / t,
    `sq_rel` mean (s - t)² / t, `rmse` √ mean (s - t)², `mae` mean |s - t|, `rmse_log` √ mean d² with d = ln t - ln s,
    `log10` mean |d| / ln 10, `silog` 100 √ (mean d² - (mean d)²), and `a1`, `a2`, `a3` the share of pixels with
    max(s / t, t / s) below 1.25, 1.25² and 1.25³.
    """
    error, ratio = true - said, np.maximum(true / said, said / true)
    logs = np.log(true) - np.log(said)
    found = {
        "abs_rel": (abs(error) / true).mean(),
        "sq_rel": (error**2 / true).mean(),
        "rmse": np.sqrt((error**2).mean()),
        "mae": abs(error).mean(),
        "rmse_log": np.sqrt((logs**2).mean()),
        "log10": abs(logs).mean() / np.log(10),
        "silog": 100 * np.sqrt(max(0.0, (logs**2).mean() - logs.mean() ** 2)),
    }
    found |= {f"a{power}": (ratio < 1.25**power).mean() for power in (1, 2, 3)}
    return {name: float(value) for name, value in found.items()}


def direction_errors(said: Values, true: Values) -> dict[str, float]:
    """Return the errors of directions `said` (pixels, 3), of any length, against `true` ones of length 1, in degrees.

    These are the angles' mean, median and root mean square, and the share of pixels below 11.25°, 22.5° and 30°
    (Fouhey, Gupta and Hebert, ICCV 2013). A direction of length 0 is 90° off.
    """
    lengths = np.linalg.norm(said, axis=1)
    cosines = (said * true).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    angles = np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0)))
    found = {
        "angle_mean": angles.mean(),
        "angle_median": np.median(angles),
        "angle_rmse": np.sqrt((angles**2).mean()),
    }
    found |= {f"within_{int(most)}": (angles < most).mean() for most in (11.25, 22.5, 30.0)}
    return {name: float(value) for name, value in found.items()}


@dataclasses.dataclass(frozen=True, eq=False)
class DistanceMaps(Predictions):
    """A distance for every pixel of every test image, at the image's own size."""

    kind: ClassVar[str] = "distance maps"

    maps: Sequence[NDArray[np.float32]]  # (height, width) each, in metres, above 0

    @property
    def asked(self) -> int:
        return len(self.maps)

    def judged(self, truth: Truth) -> DistanceErrors:
        """Return each image's errors; raise DataError for a distance that is none where one is known."""

        def compare(said: NDArray[np.float32], target: Any) -> dict[str, float]:
            known = target.metres > 0
            chosen = said[known].astype(np.float64)
            if not (np.isfinite(chosen) & (chosen > 0)).all():
                raise DataError("the protocol says distances that are not finite or not above 0")
            return distance_errors(chosen, target.metres[known].astype(np.float64)) if known.any() else {}

        known, errors = _compared(self.maps, truth, compare, lambda target: int((target.metres > 0).sum()))
        return DistanceErrors(known, {name: errors[name] for name in DISTANCE_ERRORS})

    def of_image(self, index: int, size: tuple[int, int]) -> Distances:
        return Distances(self.maps[index])

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class DirectionMaps(Predictions):
    """A direction for every pixel of every test image, at the image's own size."""

    kind: ClassVar[str] = "direction maps"

    maps: Sequence[NDArray[np.float32]]  # (height, width, 3) each, of any length

    @property
    def asked(self) -> int:
        return len(self.maps)

    def judged(self, truth: Truth) -> DirectionErrors:
        """Return each image's errors; raise DataError for a direction that is not finite where one is known."""

        def compare(said: NDArray[np.float32], target: Any) -> dict[str, float]:
            known = target.normals.any(axis=2)
            chosen = said[known].astype(np.float64)
            if not np.isfinite(chosen).all():
                raise DataError("the protocol says directions that are not finite")
            return direction_errors(chosen, target.normals[known].astype(np.float64)) if known.any() else {}

        known, errors = _compared(self.maps, truth, compare, lambda target: int(target.normals.any(axis=2).sum()))
        return DirectionErrors(known, {name: errors[name] for name in DIRECTION_ERRORS})

    def of_image(self, index: int, size: tuple[int, int]) -> Directions:
        said = self.maps[index]
        return Directions(said / np.maximum(np.linalg.norm(said, axis=2, keepdims=True), np.float32(1e-12)))

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class _Errors(Predictions):
    """Errors of every test image."""

    pixels: NDArray[np.int64]  # (images,): of how many the truth is known
    errors: Mapping[str, Values]
    """Name to (images,); NaN where nothing is known of the image."""

    @property
    def asked(self) -> int:
        return len(self.pixels)

    def known(self, name: str) -> Values:
        """Return an error of every image of which something is known; raise DataError where there is none."""
        if not (self.pixels > 0).any():
            raise DataError("of no test image anything is known to compare with; correct the card's options")
        return self.errors[name][self.pixels > 0]

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {"sample_id": list(ids), "pixels": self.pixels} | dict(self.errors)


@dataclasses.dataclass(frozen=True, eq=False)
class DistanceErrors(_Errors):
    """What came of comparing distances: the columns of DISTANCE_ERRORS."""

    kind: ClassVar[str] = "distances"


@dataclasses.dataclass(frozen=True, eq=False)
class DirectionErrors(_Errors):
    """What came of comparing directions: the columns of DIRECTION_ERRORS."""

    kind: ClassVar[str] = "directions"


def _compared(
    maps: Sequence[NDArray[np.float32]],
    truth: Truth,
    compare: Callable[[NDArray[np.float32], Any], dict[str, float]],
    count: Callable[[Any], int],
) -> tuple[NDArray[np.int64], dict[str, Values]]:
    """Return how many pixels of each image are known, and each error of each image; memory holds one image.

    Raises DataError for a number of maps, or a map's size, that is not that of the images.
    """
    targets: Targets | None = truth.dense
    if targets is None or len(targets) != len(maps):
        images = 0 if targets is None else len(targets)
        raise DataError(f"{len(maps)} maps came back for {images} test images with known surfaces")
    rows, known = [], []
    for position in range(len(maps)):
        said, target = maps[position], targets[position]
        if said.shape[:2] != target.size:
            raise DataError(f"the map of test image {position} is of {said.shape[:2]}, its image of {target.size}")
        known.append(count(target))
        rows.append(compare(said, target))
    names = dict.fromkeys((*DISTANCE_ERRORS, *DIRECTION_ERRORS))
    columns = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
    return np.array(known, dtype=np.int64), columns
