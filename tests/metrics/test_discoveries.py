"""Boxes that were found without labels: overlaps by hand, and the table that gives the score again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ssl_bench import metrics
from ssl_bench.errors import DataError
from ssl_bench.predictions import Truth
from ssl_bench.predictions.discoveries import Discoveries, overlap
from ssl_bench.results.rescore import contradictions
from ssl_bench.results.roots import FolderRoot
from ssl_bench.results.samples import read, write
from ssl_bench.targets import Objects, Targets
from tests.results.factory import make_scored

BOXES = ([[0, 0, 10, 10], [20, 0, 30, 10]], [[0, 0, 10, 10]], [])


class Given:
    def __len__(self) -> int:
        return 3

    def read(self, index: int) -> Objects:
        boxes = np.array(BOXES[index], dtype=np.float64).reshape(-1, 4)
        no = np.zeros(len(boxes), dtype=np.bool_)
        return Objects((40, 60), boxes, np.arange(len(boxes)), np.full(len(boxes), 100.0), no, no)


TRUTH = Truth({"test": np.zeros((3, 0), np.int64)}, 2, dense=Targets(Given(), np.arange(3)))


def test_overlaps() -> None:
    """Half of a box is half of what both cover; boxes apart share nothing."""
    assert overlap(np.array([0.0, 0, 10, 5]), np.array([[0.0, 0, 10, 10], [11.0, 6, 12, 9]])).tolist() == [0.5, 0.0]


def test_corloc() -> None:
    """An overlap of a half with any object is enough; an image without objects counts nowhere."""
    said = Discoveries(np.array([[20, 0, 30, 10], [0, 0, 10, 4.9], [0, 0, 1, 1]], dtype=np.float64)).judged(TRUTH)
    assert said.overlaps == pytest.approx([1, 0.49, 0])
    assert metrics.get("corloc").score(said, TRUTH)[:2] == (0.5, 2)
    with pytest.raises(DataError, match="1 boxes came back for 3 test images"):
        Discoveries(np.zeros((1, 4))).judged(TRUTH)


def test_the_table_gives_the_metric_again(tmp_path: Path) -> None:
    """From the table alone the score and its interval are computed again."""
    said = Discoveries(np.array([[0, 0, 10, 5], [5, 5, 10, 10], [0, 0, 1, 1]], dtype=np.float64)).judged(TRUTH)
    root = FolderRoot(tmp_path)
    table = read(root, write(root, said.table(("a", "b", "c"), TRUTH)))
    record = make_scored(said, TRUTH, table, "corloc")
    assert record.headline.n == 2
    assert list(contradictions(record, table)) == []
    assert "metrics.corloc" in next(contradictions(record, {**table, "best_overlap": np.zeros(3)}))
