"""Outlines: run lengths and polygons by hand, and as pycocotools writes and draws them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.datasets import coco_objects
from ssl_bench.errors import DataError
from ssl_bench.targets import outlines


def test_runs_by_hand() -> None:
    """Runs go down the columns, and begin outside the object."""
    mask = np.array([[0, 1, 1], [0, 1, 0]], dtype=np.bool_)
    text = outlines.encode(mask)
    assert outlines.lengths(text).tolist() == [2, 3, 1]
    assert outlines.areas([text]).tolist() == [3]
    np.testing.assert_array_equal(outlines.decode(text, (2, 3)), mask)
    assert outlines.lengths(outlines.encode(~mask)).tolist() == [0, 2, 3, 1]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_parity_of_text_and_overlap(share: float) -> None:
    """Text, area and overlap are pycocotools', of full and of empty masks too, crowds counting their own way."""
    library = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(0)
    masks = [generator.random((37, 53)) < share for _ in range(3)] + [generator.random((37, 53)) < 0.4]
    theirs = [library.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    mine = [outlines.encode(mask) for mask in masks]
    assert mine == [one["counts"] for one in theirs]
    for mask, text in zip(masks, mine, strict=True):
        np.testing.assert_array_equal(outlines.decode(text, (37, 53)), mask)
    crowd = np.array([False, True, False, True])
    found = outlines.overlaps(mine, mine, crowd)
    with np.errstate(invalid="ignore"):
        expected = np.nan_to_num(library.iou(theirs, theirs, crowd.tolist()))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_parity_of_polygons(seed: int) -> None:
    """A polygon holds pycocotools' pixels, where it leaves the image, crosses itself or is thinner than a pixel too."""
    library = pytest.importorskip("pycocotools.mask")
    generator = np.random.default_rng(seed)
    corners = generator.uniform(-8, 60, (int(generator.integers(3, 12)), 2))
    corners = corners * [1, 0.01] if seed == 4 else corners
    [expected] = library.frPyObjects([corners.ravel().tolist()], 40, 50)
    np.testing.assert_array_equal(
        outlines.decode(outlines.polygon(corners, (40, 50)), (40, 50)), library.decode(expected).astype(bool)
    )


@pytest.mark.data
def test_parity_on_real_outlines(real_data: Path) -> None:
    """The 839 outlines of COCO's fixtures, polygons of several parts and crowds' runs, are pycocotools'."""
    library = pytest.importorskip("pycocotools.mask")
    path = real_data / "coco-eval-fixtures/instances_val2014_100.json"
    content = json.loads(path.read_text())
    classes = {one["id"]: label for label, one in enumerate(content["categories"])}
    marked = coco_objects.marked(path, content["images"], content["annotations"], classes, 0.0)
    shapes = {one["id"]: one["segmentation"] for one in content["annotations"]}
    seen = 0
    for index, own in enumerate(content["images"]):
        objects = marked.read(index)
        start = int(marked.starts[index])
        for number, text in enumerate(objects.outlines):
            shape = shapes[int(marked.ids[start + number])]
            theirs = library.frPyObjects(shape, own["height"], own["width"])
            merged = library.merge(theirs) if isinstance(shape, list) else theirs
            assert text == merged["counts"]
            seen += 1
    assert seen == 839


@pytest.mark.parametrize("text", [b"", b"\x00", b"P", b"\xff1", b"12O0"])
def test_text_that_is_none(text: bytes) -> None:
    """Text that is empty, cut, of other letters, or that tells of negative lengths is refused."""
    with pytest.raises(DataError, match="run-length mask"):
        outlines.lengths(text)


def test_other_sizes() -> None:
    """Runs of another image's size are refused."""
    with pytest.raises(DataError, match="covers 6 pixels, but its image has 3x3"):
        outlines.decode(outlines.encode(np.ones((2, 3), dtype=np.bool_)), (3, 3))
