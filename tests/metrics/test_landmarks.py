"""Landmarks that were sought: cases solved by hand, and the table that gives the scores again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.predictions import Truth
from ssl_bench.predictions.landmarks import LandmarkPlaces
from ssl_bench.results.rescore import contradictions
from ssl_bench.results.roots import FolderRoot
from ssl_bench.results.samples import read, write
from ssl_bench.targets import Landmarks, Targets
from tests.results.factory import make_scored


class Given:
    """Three images of two groups: 0 is to be found in 1 (two landmarks), and 2 in itself."""

    def __len__(self) -> int:
        return 3

    def read(self, index: int) -> Landmarks:
        box, places = np.array([10.0, 0.0, 30.0, 50.0]), np.array([[20.0, 10.0], [20.0, 40.0]])
        partners = (("b",), (), ("c",))[index]
        return Landmarks((100, 200), places, np.array([3, 5]), box, "ant" if index < 2 else "bee", partners)


TRUTH = Truth({"test": np.zeros((3, 0), np.int64)}, 0, {"test": ("a", "b", "c")}, dense=Targets(Given(), np.arange(3)))
RIGHT = np.array([[0.1, 0.1], [0.1, 0.4]])
"""The landmarks as shares of the image's sides."""


def value(name: str, *places: np.ndarray, grid: tuple[int, int] = (0, 0)) -> float:
    return metrics.get(name).score(LandmarkPlaces(places, grid).judged(TRUTH), TRUTH)[0]


def test_by_hand() -> None:
    """The share is of the box's longer side, 50 pixels: 4 pixels off is 0.08; groups count alike, not landmarks."""
    off = RIGHT + np.array([[4 / 200, 0], [0, 6 / 100]])
    assert value("pck_10", off, RIGHT) == (0.5 + 1) / 2
    assert value("pck_05", off, RIGHT) == (0 + 1) / 2
    assert value("pck_10", RIGHT, off) == (1 + 0.5) / 2
    assert LandmarkPlaces([off, RIGHT]).judged(TRUTH).errors == pytest.approx([0.08, 0.12, 0, 0])


def test_a_share_is_not_reached_at_its_edge() -> None:
    """A landmark that is just a tenth off is not found."""
    off = RIGHT + np.array([[0, 0.05], [0, 0]])
    assert value("pck_10", off, RIGHT) == 0.75


def test_ceiling() -> None:
    """On a grid of 10 by 10 cells of 20 by 10 pixels the nearest middles are 10 to the right and 5 below: 11.2 off."""
    judged = LandmarkPlaces([RIGHT, RIGHT], (10, 10)).judged(TRUTH)
    assert judged.least == pytest.approx(np.full(4, np.hypot(10, 5) / 50))
    assert value("pck_10_ceiling", RIGHT, RIGHT, grid=(10, 10)) == 0
    assert value("pck_10_ceiling", RIGHT, RIGHT, grid=(100, 100)) == 1
    assert not metrics.get("pck_10_ceiling").applies(LandmarkPlaces([RIGHT, RIGHT]).judged(TRUTH), TRUTH)


def test_places_that_do_not_fit() -> None:
    """Places of other pairs, and places that are none, are refused."""
    with pytest.raises(DataError, match="places of 1 pairs came back for 2"):
        LandmarkPlaces([RIGHT]).judged(TRUTH)
    with pytest.raises(DataError, match="not finite"):
        LandmarkPlaces([RIGHT, RIGHT * np.nan]).judged(TRUTH)


def test_the_table_gives_the_metrics_again(tmp_path: Path) -> None:
    """From the table alone every score and its interval are computed again."""
    said = LandmarkPlaces([RIGHT + np.array([[0.01, 0], [0.2, 0]]), RIGHT], (20, 20)).judged(TRUTH)
    root = FolderRoot(tmp_path)
    table = read(root, write(root, said.table(TRUTH.ids["test"], TRUTH)))
    record = make_scored(said, TRUTH, table, "pck_10")
    assert set(record.metrics) == {"pck_10", "pck_05", "pck_01", "pck_10_ceiling"}
    assert list(contradictions(record, table)) == []
    assert "metrics.pck_10" in next(contradictions(record, {**table, "landmark_error": np.zeros(4)}))
