"""Where a protocol finds the landmarks of one image in another, and how far that is from where they are."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError
from ssl_bench.predictions.base import Ints, Predictions, Truth
from ssl_bench.targets import pairs


@dataclasses.dataclass(frozen=True, eq=False)
class LandmarkPlaces(Predictions):
    """A place for every landmark of every pair, in the order of `pairs.draw`."""

    kind: ClassVar[str] = "places"

    places: Sequence[NDArray[np.float64]]
    """Of every pair (landmarks, 2): x and y in the second image, as shares of its width and height."""
    grid: tuple[int, int] = (0, 0)
    """Rows and columns of places, at the middles of whose cells alone landmarks are found; (0, 0): anywhere."""

    def judged(self, truth: Truth) -> LandmarkErrors:
        """Return how far each place is off; raise DataError where the places are not those of the pairs."""
        if truth.dense is None:
            raise DataError("this task has no landmarks")
        asked, true = pairs.draw(truth.dense, truth.ids["test"])
        if [len(one) for one in self.places] != [len(one) for one in true.places]:
            raise DataError(f"places of {len(self.places)} pairs came back for {len(true.places)} pairs with landmarks")
        errors, least = [], []
        for said, known, size, measure in zip(self.places, true.places, true.sizes, true.measures, strict=True):
            errors.append(_off(said, known, size, measure))
            least.append(_off(_nearest(known / size[::-1], self.grid), known, size, measure))
        counts = np.array([len(one) for one in true.places])
        groups = np.repeat(np.array(true.groups), counts).tolist()
        return LandmarkErrors(
            np.repeat(asked.first, counts), np.repeat(asked.second, counts), tuple(groups), np.concatenate(true.names),
            np.concatenate(errors), np.concatenate(least),
        )  # fmt: skip

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return self.judged(truth).table(ids, truth)


@dataclasses.dataclass(frozen=True, eq=False)
class LandmarkErrors(Predictions):
    """What came of comparing places: a row for every landmark of every pair."""

    kind: ClassVar[str] = "landmarks"

    first: Ints  # (landmarks,): position in test of the image whose landmark is sought
    second: Ints  # (landmarks,): of the image in which it is
    groups: tuple[str, ...]
    names: Ints  # (landmarks,): which of its group's it is
    errors: NDArray[np.float64]  # (landmarks,): distance from the truth, as a share of the longer side of the object
    least: NDArray[np.float64]  # (landmarks,): what the nearest place that could be said would be off

    def table(self, ids: Sequence[str], truth: Truth) -> dict[str, Any]:
        return {
            "sample_id": [ids[one] for one in self.first],
            "partner": [ids[one] for one in self.second],
            "group": list(self.groups),
            "first": self.first,
            "second": self.second,
            "landmark": self.names,
            "landmark_error": self.errors,
            "least_error": self.least,
        }


def _off(said: NDArray[np.float64], true: NDArray[np.float64], size: tuple[int, int], measure: float) -> NDArray[Any]:
    """Return how far places (landmarks, 2), as shares of an image's sides, are from true ones in its pixels."""
    off: NDArray[Any] = np.linalg.norm(said * size[::-1] - true, axis=1) / measure
    if not np.isfinite(off).all():
        raise DataError("the protocol says places that are not finite")
    return off


def _nearest(places: NDArray[np.float64], grid: tuple[int, int]) -> NDArray[np.float64]:
    """Return the middles of the cells of a grid in which places lie, all as shares of an image's sides."""
    if grid == (0, 0):
        return places
    cells = np.array(grid[::-1])
    middles: NDArray[np.float64] = (np.clip(np.floor(places * cells), 0, cells - 1) + 0.5) / cells
    return middles
