"""Errors of distances and directions: cases solved by hand, and scikit-learn's figures on the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.predictions import Predictions, Truth
from ssl_bench.predictions.surfaces import DIRECTION_ERRORS, DISTANCE_ERRORS, DirectionMaps, DistanceMaps
from ssl_bench.results.predicted import rebuilt, units
from ssl_bench.results.rescore import contradictions
from ssl_bench.results.roots import FolderRoot
from ssl_bench.results.samples import read, write
from ssl_bench.targets import Directions, Distances, Targets
from tests.results.factory import make_scored


class Given:
    def __init__(self, *targets: Distances | Directions) -> None:
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> Distances | Directions:
        return self.targets[index]


def truth(*targets: Distances | Directions) -> Truth:
    rows = np.arange(len(targets))
    return Truth({"test": np.zeros((len(targets), 0), np.int64)}, 0, dense=Targets(Given(*targets), rows))


def value(name: str, said: Predictions, true: Truth) -> float:
    return metrics.get(name).score(said.judged(true), true)[0]


def drawn(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return distances that are said and true ones (height, width), a third of these unknown."""
    generator = np.random.default_rng(seed)
    true = np.where(generator.random((24, 32)) < 0.3, 0, generator.uniform(0.5, 10, (24, 32))).astype(np.float32)
    return (true + 0.1) * generator.lognormal(0, 0.3, (24, 32)).astype(np.float32), true


def test_distances_by_hand() -> None:
    """Said 2 for 1 m and 4 for 4 m: what is unknown counts nowhere, and a ratio of 2 is above 1.25³."""
    true = truth(Distances(np.array([[1, 4, 0]], np.float32)))
    said = DistanceMaps([np.array([[2, 4, 99]], np.float32)])
    log = np.log(2.0)
    expected = {"abs_rel": 0.5, "sq_rel": 0.5, "rmse": np.sqrt(0.5), "mae": 0.5, "rmse_log": log * np.sqrt(0.5)}
    expected |= {"log10": np.log10(2) / 2, "silog": 100 * log / 2, "a1": 0.5, "a2": 0.5, "a3": 0.5}
    assert set(expected) == set(DISTANCE_ERRORS)
    for name, one in expected.items():
        assert value(name, said, true) == pytest.approx(one), name


def test_directions_by_hand() -> None:
    """Directions of any length that are 0°, 20° and 90° off; a direction of no length is 90° off."""
    up = np.array([0, 0, 1.0])
    tilted = 3 * np.array([np.sin(np.radians(20)), 0, np.cos(np.radians(20))])
    true = truth(Directions(np.array([[up, up, up, np.zeros(3)]], np.float32)))
    said = DirectionMaps([np.array([[2 * up, tilted, np.zeros(3), up]], np.float32)])
    expected = {"angle_mean": 110 / 3, "angle_median": 20.0, "angle_rmse": np.sqrt((400 + 8100) / 3)}
    expected |= {"within_11": 1 / 3, "within_22": 2 / 3, "within_30": 2 / 3}
    assert set(expected) == set(DIRECTION_ERRORS)
    for name, one in expected.items():
        assert value(name, said, true) == pytest.approx(one, abs=1e-4), name


def test_distances_are_scikit_learns() -> None:
    """rmse, mae, abs_rel and rmse_log of an image are scikit-learn's of its known pixels."""
    from sklearn import metrics as library

    said, true = drawn()
    known = true > 0
    a, b = said[known].astype(np.float64), true[known].astype(np.float64)
    expected = {
        "rmse": library.root_mean_squared_error(b, a),
        "mae": library.mean_absolute_error(b, a),
        "abs_rel": library.mean_absolute_percentage_error(b, a),
        "rmse_log": library.root_mean_squared_error(np.log(b), np.log(a)),
    }
    for name, one in expected.items():
        assert value(name, DistanceMaps([said]), truth(Distances(true))) == pytest.approx(one, rel=1e-12), name


def test_images_count_alike() -> None:
    """The value is the mean over images, not over pixels; an image of which nothing is known counts for nothing."""
    big, small, none = np.full((9, 9), 2, np.float32), np.full((1, 1), 2, np.float32), np.zeros((3, 3), np.float32)
    true = truth(Distances(big), Distances(small), Distances(none))
    said = DistanceMaps([big + 1, small + 3, none + 1]).judged(true)
    found, n, interval = metrics.get("rmse").score(said, true)
    assert (found, n) == (2.0, 2)
    assert interval is not None
    assert interval[0] < 2 < interval[1]


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, -1.0])
def test_distances_that_are_none(bad: float) -> None:
    """A distance that is not above 0 is refused where one is known, and is nothing to anybody elsewhere."""
    true = np.array([[1, 0]], np.float32)
    assert DistanceMaps([np.array([[1, bad]], np.float32)]).judged(truth(Distances(true)))
    with pytest.raises(DataError, match="not finite or not above 0"):
        DistanceMaps([np.array([[bad, 1]], np.float32)]).judged(truth(Distances(true)))


def test_maps_that_do_not_fit() -> None:
    """A missing map, one of another size, and a test set of which nothing is known are refused."""
    ones = np.ones((2, 3), np.float32)
    with pytest.raises(DataError, match="1 maps came back for 2"):
        DistanceMaps([ones]).judged(truth(Distances(ones), Distances(ones)))
    with pytest.raises(DataError, match="test image 0"):
        DistanceMaps([ones.T]).judged(truth(Distances(ones)))
    nothing = truth(Distances(ones * 0))
    with pytest.raises(DataError, match="no test image"):
        value("rmse", DistanceMaps([ones]), nothing)


@pytest.mark.parametrize("name", ["rmse", "a1", "angle_mean"])
def test_the_table_gives_the_metrics_again(name: str, tmp_path: Path) -> None:
    """From the table of errors alone each metric, and the value of every unit behind it, are computed again."""
    metric = metrics.get(name)
    if metric.kind == "distances":
        pairs = [drawn(seed) for seed in range(3)]
        true = truth(*(Distances(one * (number < 2)) for number, (_, one) in enumerate(pairs)))
        maps: Predictions = DistanceMaps([one for one, _ in pairs])
    else:
        normals = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
        normals /= np.linalg.norm(normals, axis=3, keepdims=True)
        true = truth(*(Directions(one) for one in normals))
        maps = DirectionMaps([one + np.float32(0.2) for one in normals])
    said = maps.judged(true)
    root = FolderRoot(tmp_path)
    table = read(root, write(root, said.table(["a", "b", "c"][: said.asked], true)))
    record = make_scored(said, true, table, name)
    found, n, _ = metric.score(said, true)
    assert list(contradictions(record, table)) == []
    again = rebuilt(record, table)
    assert again is not None
    assert metric.score(*again)[:2] == pytest.approx((found, n))
    own = units(record, table)
    assert own is not None
    assert (own.mean(), len(own)) == pytest.approx((found, n))
