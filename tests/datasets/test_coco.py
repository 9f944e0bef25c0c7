"""COCO's annotations: a small set written here, and real ones of which the same truth stands in VOC's form."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import datasets, metrics, tasks
from ssl_bench.datasets import coco, voc
from ssl_bench.datasets.unpacking import unpack
from ssl_bench.errors import DataError, MissingError
from ssl_bench.predictions import Multilabel, Truth

OPTIONS = {"splits": {"train": {"images": "train2017", "annotations": "a.json"}}}


def content(**changes: Any) -> dict[str, Any]:
    """Return annotations of three images and two categories, whose ids leave gaps and are in no order."""
    box = {"bbox": [0.0, 0.0, 4.0, 4.0], "area": 9.5, "iscrowd": 0}
    return {
        "images": [{"id": 9, "file_name": "9.png"}, {"id": 4, "file_name": "4.png"}, {"id": 7, "file_name": "7.png"}],
        "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": 1, "image_id": 9, "category_id": 1, **box, "iscrowd": 1},
            {"id": 2, "image_id": 9, "category_id": 1, **box},
            {"id": 3, "image_id": 4, "category_id": 90, **box},
            {"id": 4, "image_id": 4, "category_id": 1, **box, "bbox": [0.0, 0.0, 4.0, 0.5]},
            {"id": 5, "image_id": 7, "category_id": 1, **box, "area": 0},
        ],
    } | changes


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    (tmp_path / "train2017").mkdir()
    for i, name in enumerate(("9.png", "4.png", "7.png", "unlisted.png")):
        (tmp_path / "train2017" / name).write_bytes(pngs[i])
    (tmp_path / "a.json").write_text(json.dumps(content()))
    return tmp_path


def test_categories_become_classes(root: Path, pngs: list[bytes]) -> None:
    """Categories hold by id, crowds too; points and lines do not count, and an image may show none."""
    split = coco.load(OPTIONS, root)["train"]
    assert split.class_names == ("person", "toothbrush")
    assert split.ids == ("9.png", "4.png", "7.png")
    assert split.labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    assert [split.read(i) for i in range(3)] == pngs[:3]
    assert root / "a.json" in coco.locate(OPTIONS, root)


def test_archives(root: Path, packer: Callable[..., Path]) -> None:
    """Images may lie in the published archives, in a folder of the split's name."""
    (root / "up").mkdir()
    (root / "train2017").rename(root / "up/train2017")
    packer(root / "up", root / "train2017.zip")
    place = {"images": "train2017.zip", "annotations": "a.json", "inside": "train2017"}
    assert coco.load({"splits": {"train": place}}, root)["train"].labels.tolist() == [[1, 0], [0, 1], [0, 0]]
    with pytest.raises(MissingError, match=r"b\.json, .*none"):
        coco.locate({"splits": {"train": {"images": "none", "annotations": "b.json"}}}, root)


TWICE = [{"id": 9, "file_name": "9.png"}, {"id": 9, "file_name": "4.png"}]
STRANGE = {"id": 6, "image_id": 5, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"images": [{"id": 1, "file_name": "x.png"}]},
            r"a\.json names the image 'x\.png', but .*train2017 holds no x",
        ),
        ({"images": TWICE}, r"a\.json names the image 9 twice"),
        ({"images": [TWICE[0], {"id": 1, "file_name": "9.png"}]}, r"names the file '9\.png' twice"),
        ({"annotations": [STRANGE]}, "the annotation 6 has the unknown image_id 5"),
        (
            {"annotations": [STRANGE | {"image_id": 9, "category_id": 2}]},
            "the annotation 6 has the unknown category_id 2",
        ),
        ({"annotations": [{"id": 1, "image_id": 9}]}, r"annotations\[0\] has no 'category_id'"),
        ({"categories": []}, "has no list 'categories', so it holds no instances"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "names the category 1 twice"),
    ],
)
def test_wrong_annotations(root: Path, changes: dict[str, Any], message: str) -> None:
    """Images that are absent or named twice, and objects of unknown images and categories, are named with the file."""
    (root / "a.json").write_text(json.dumps(content(**changes)))
    with pytest.raises(DataError, match=message):
        coco.load(OPTIONS, root)


def test_damaged_and_mixed(root: Path) -> None:
    """A file that was cut, and splits of different categories, are refused."""
    other = {"images": "train2017", "annotations": "b.json"}
    (root / "b.json").write_text(json.dumps(content(categories=[{"id": 1, "name": "p"}, {"id": 90, "name": "q"}])))
    with pytest.raises(DataError, match=r"b\.json has other categories than a\.json"):
        coco.load({"splits": {**OPTIONS["splits"], "val": other}}, root)
    (root / "a.json").write_text(json.dumps(content())[:100])
    with pytest.raises(DataError, match=r"a\.json is not whole JSON"):
        coco.load(OPTIONS, root)


def test_two_conversions_and_vocs_own_form_agree(real_data: Path, tmp_path: Path) -> None:
    """One truth of 100 photographs in two COCO files and in VOC's annotations gives the same labels three times."""
    unpack(real_data / "voc100/voc100.tar", tmp_path)
    found = {}
    for name in ("v1/instances_default", "v2/instances_v2"):
        place = {"images": "images", "annotations": f"gts/coco_format_{name}.json"}
        found[name] = coco.load({"splits": {"all": place}}, tmp_path)["all"]
    layout = tmp_path / "voc"
    (layout / "ImageSets/Main").mkdir(parents=True)
    (tmp_path / "images").rename(layout / "JPEGImages")
    (tmp_path / "gts/pascalvoc_format").rename(layout / "Annotations")
    names = sorted(path.stem for path in (layout / "JPEGImages").iterdir())
    (layout / "ImageSets/Main/all.txt").write_text("\n".join(names))
    found["voc"] = voc.load({"labels": "objects", "splits": {"all": "voc"}}, tmp_path)["all"]
    held = [
        {(Path(i).stem, name) for i, row in zip(split.ids, split.labels, strict=True) for name in said(split, row)}
        for split in found.values()
    ]
    assert held[0] == held[1] == held[2]
    assert len(held[0]) > 100


def said(split: Any, row: Any) -> list[str]:
    """Return the classes that have an object, difficult or not."""
    return [split.class_names[i] for i in np.flatnonzero(row)]


def test_the_card(tmp_path: Path, real_data: Path, pngs: list[bytes]) -> None:
    """The card coco2017 loads real annotations of 100 images in the published layout, and its targets score."""
    path = real_data / "coco-eval-fixtures/instances_val2014_100.json"
    names = [one["file_name"] for one in json.loads(path.read_text())["images"]]
    for split in ("train", "val"):
        folder = tmp_path / f"up/{split}2017"
        folder.mkdir(parents=True)
        for i, name in enumerate(names):
            (folder / name).write_bytes(pngs[i % 40])
    (tmp_path / "coco/annotations").mkdir(parents=True)
    for split in ("train", "val"):
        with zipfile.ZipFile(tmp_path / f"coco/{split}2017.zip", "w") as archive:
            for name in names:
                archive.write(tmp_path / f"up/{split}2017/{name}", f"{split}2017/{name}")
        (tmp_path / f"coco/annotations/instances_{split}2017.json").write_bytes(path.read_bytes())
    card = tasks.get("coco2017")
    test = datasets.load(card, tmp_path)["test"]
    assert test.labels.shape == (100, 80)
    assert test.class_names[:2] == ("person", "bicycle")
    value = metrics.get(card.metric).score(Multilabel(test.labels.astype(np.float32)), Truth({"test": test.labels}, 80))
    assert value[0] == 1.0
