"""Objects that were followed: regions and contours by hand, and the frames that count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.predictions import Truth
from ssl_bench.predictions.tracks import Tracks, contour, region
from ssl_bench.results.rescore import contradictions
from ssl_bench.results.roots import FolderRoot
from ssl_bench.results.samples import read, write
from ssl_bench.targets import VOID, Frame, Targets
from tests.results.factory import make_scored


def square(left: int, side: int = 10, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    labels = np.zeros(size, np.uint8)
    labels[5 : 5 + side, left : left + side] = 1
    return labels


class Given:
    """A video of four frames, of which the last is void."""

    frames = (square(5), square(7), square(9), np.full((40, 60), VOID, np.uint8))

    def __init__(self, count: int = 4) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def read(self, index: int) -> Frame:
        return Frame(self.frames[index], "ant", index)


def truth(count: int = 4) -> Truth:
    labels = {"test": np.zeros((count, 0), np.int64)}
    return Truth(labels, 0, dense=Targets(Given(count), np.arange(count)))


def test_region() -> None:
    """Two squares of 100 pixels that share 80 have 120 together; nothing said of nothing is right."""
    assert region(square(5) > 0, square(7) > 0) == 80 / 120
    assert region(square(5) > 1, square(5) > 1) == 1
    assert region(square(5) > 0, square(5) > 1) == 0


def test_contour() -> None:
    """One pixel off is near enough for an image of this size, two are not for what has no contour beside it."""
    one = square(5) > 0
    assert contour(one, one) == 1
    assert contour(square(6) > 0, one) == 1
    assert 0 < contour(square(8) > 0, one) < 1
    assert contour(square(40) > 0, one) == 0
    assert contour(square(5) > 1, one) == 0
    assert contour(square(5) > 1, square(5) > 1) == 1


def test_contour_is_a_dilation_by_a_disk() -> None:
    """Precision and recall are those of contours widened by a disk, SciPy's own dilation of them."""
    from scipy.ndimage import binary_dilation, gaussian_filter

    generator = np.random.default_rng(0)
    rows, columns = np.mgrid[-2:3, -2:3]
    disk = rows**2 + columns**2 <= 4  # 0.8 % of a diagonal of 200 pixels, rounded up
    for _ in range(5):
        pair = [gaussian_filter(generator.normal(size=(120, 160)), 5) > 0.01 for _ in range(2)]
        edges = []
        for one in pair:
            wide = np.pad(one, ((0, 1), (0, 1)), mode="edge")
            edges.append(np.any([one ^ wide[1:, :-1], one ^ wide[:-1, 1:], one ^ wide[1:, 1:]], axis=0))
            edges[-1][-1, :] = False
            edges[-1][:, -1] = False
            pair_inside = one.copy()
            edges[-1][-1, :-1] = pair_inside[-1, :-1] ^ pair_inside[-1, 1:]
            edges[-1][:-1, -1] = pair_inside[:-1, -1] ^ pair_inside[1:, -1]
        wide_edges = [binary_dilation(edge, disk) for edge in edges]
        precision = (edges[0] & wide_edges[1]).sum() / edges[0].sum()
        recall = (edges[1] & wide_edges[0]).sum() / edges[1].sum()
        assert contour(*pair) == pytest.approx(2 * precision * recall / (precision + recall))


def test_the_first_and_the_last_frame_count_nowhere() -> None:
    """What is said of the first, which is given, and of the last changes nothing."""
    nothing = square(5) * 0
    found = metrics.get("j_mean").score(Tracks([nothing, square(9), square(9), nothing]).judged(truth()), truth())
    assert found[:2] == ((80 / 120 + 1) / 2, 1)


def test_what_does_not_fit() -> None:
    """A map of another size, and a video of two frames, are refused."""
    maps = [square(5), square(7), square(9, size=(41, 60)), square(9)]
    with pytest.raises(DataError, match=r"frame 2 of 'ant' is of \(40, 60\), its map of \(41, 60\)"):
        Tracks(maps).judged(truth())
    with pytest.raises(DataError, match="'ant' has 2 frames; the least is 3"):
        Tracks(maps[:2]).judged(truth(2))


def test_the_table_gives_the_metrics_again(tmp_path: Path) -> None:
    """From the table alone every score is computed again."""
    said = Tracks([square(5), square(8), square(9), square(9)]).judged(truth())
    root = FolderRoot(tmp_path)
    table = read(root, write(root, said.table((), truth())))
    record = make_scored(said, truth(), table, "j_and_f")
    assert set(record.metrics) == {"j_and_f", "j_mean", "f_mean"}
    assert list(contradictions(record, table)) == []
    assert "metrics.j_and_f" in next(contradictions(record, {**table, "region": np.zeros(1)}))
