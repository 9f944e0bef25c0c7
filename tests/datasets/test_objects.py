"""Objects as COCO's and VOC's annotations have them: by hand, against each other, and damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import datasets, tasks
from ssl_bench.datasets import coco, voc
from ssl_bench.datasets.unpacking import unpack
from ssl_bench.errors import DataError
from ssl_bench.targets import outlines

SIZES = {9: (8, 8), 4: (8, 8), 7: (8, 8)}
BOX = {"category_id": 1, "iscrowd": 0}


def content(**changes: Any) -> dict[str, Any]:
    """Return annotations of three images of digits, the last without objects; ids are in no order."""
    rows = [{"id": key, "file_name": f"{key}.png", "height": 8, "width": 8} for key in SIZES]
    annotations = [
        {**BOX, "id": 1, "image_id": 9, "bbox": [1.0, 2.0, 3.5, 4.0], "area": 9.5},
        {**BOX, "id": 2, "image_id": 4, "bbox": [0, 0, 4, 4], "iscrowd": 1, "category_id": 90},
        {**BOX, "id": 3, "image_id": 9, "bbox": [6, 6, 9, 9]},
    ]
    names = [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}]
    return {"images": rows, "categories": names, "annotations": annotations} | changes


def drawn(*shapes: Any) -> dict[str, Any]:
    """Return the annotations with these outlines."""
    own = content()
    for row, shape in zip(own["annotations"], shapes, strict=True):
        row["segmentation"] = shape
    return own


def load(folder: Path, pngs: list[bytes], what: dict[str, Any], **options: Any) -> Any:
    (folder / "images").mkdir(exist_ok=True)
    for key, png in zip(SIZES, pngs, strict=False):
        (folder / f"images/{key}.png").write_bytes(png)
    (folder / "a.json").write_text(json.dumps(what))
    place = {"images": "images", "annotations": "a.json"}
    return coco.load({"splits": {"all": place}, "labels": "boxes"} | options, folder)["all"]


def test_cocos_objects(tmp_path: Path, pngs: list[bytes]) -> None:
    """Boxes end behind their last pixel, images come by id and may show nothing; an area that lacks is the box's."""
    split = load(tmp_path, pngs, content())
    assert (split.ids, split.class_names) == (("4.png", "7.png", "9.png"), ("person", "toothbrush"))
    assert split.labels.shape == (3, 0)
    assert split.read(2) == pngs[0]
    crowd, nothing, two = (split.targets[i] for i in range(3))
    assert (crowd.boxes.tolist(), crowd.labels.tolist(), crowd.crowd.tolist()) == ([[0, 0, 4, 4]], [1], [True])
    assert (nothing.boxes.shape, nothing.outlines) == ((0, 4), ())
    assert two.boxes.tolist() == [[1, 2, 4.5, 6], [6, 6, 15, 15]]
    assert two.areas.tolist() == [9.5, 81]


def test_three_forms_of_outlines(tmp_path: Path, pngs: list[bytes]) -> None:
    """Polygons of several parts, runs as a list and runs as text give the same pixels."""
    mask = np.zeros((8, 8), dtype=np.bool_)
    mask[2:4, 1:3] = mask[5:7, 4:7] = True
    polygons = [[1, 2, 3, 2, 3, 4, 1, 4], [4, 5, 7, 5, 7, 7, 4, 7]]
    text = outlines.encode(mask)
    listed = {"counts": outlines.lengths(text).tolist(), "size": [8, 8]}
    split = load(tmp_path, pngs, drawn(polygons, listed, {"counts": text.decode(), "size": [8, 8]}))
    assert split.targets[0].outlines == (text,)
    assert split.targets[2].outlines == (text, text)


SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (drawn(SQUARE, SQUARE, [[1, 1, 2]]), "annotation 3 has a segmentation that is neither .* polygon of 3 numbers"),
        (drawn(SQUARE, {"counts": "P"}, SQUARE), "annotation 2 has a segmentation that is neither polygons nor runs"),
        (drawn(SQUARE, {"counts": [60, 5]}, SQUARE), "annotation 2 has runs of 65 pixels, but its image has 8x8"),
        (drawn(SQUARE, {"runs": 3}, SQUARE), "annotation 2 has a segmentation that is neither polygons nor runs"),
        (drawn([["a"] * 6], SQUARE, SQUARE), "annotation 1 has a segmentation that is neither polygons nor runs"),
    ],
)
def test_wrong_outlines(tmp_path: Path, pngs: list[bytes], what: dict[str, Any], message: str) -> None:
    """An outline that is none names its annotation when it is read."""
    split = load(tmp_path, pngs, what)
    with pytest.raises(DataError, match=rf"a\.json: the {message}"):
        [split.targets[i] for i in range(3)]


def changed(number: int, **fields: Any) -> dict[str, Any]:
    own = content()
    own["annotations"][number] |= fields
    return own


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (changed(0, bbox=[1, 1, 0, 3]), r"annotation 1 has the box \[1, 1, 0, 3\], which has no area; .* data\.least"),
        (changed(1, bbox=[1, 1, -2, 3]), "annotation 2 has the box .*, which has no area"),
        (changed(2, bbox=[8, 1, 2, 3]), "annotation 3 has the box .*, which lies outside its image"),
        (changed(0, bbox=[float("nan"), 1, 2, 3]), "annotation 1 has the box .*, which has no area"),
        (changed(0, bbox=[1, 2, 3]), r"annotations\[0\] has the bbox .*, which is of the wrong kind"),
        (changed(0, image_id=5), "annotation 1 has the unknown image_id 5"),
        (changed(0, segmentation=SQUARE), "annotation 2 has no segmentation, but others have one"),
        (content(images=[{"id": 9, "file_name": "9.png"}]), "the image 9 has no height and width"),
        (content(images=[{"id": 9, "height": 8, "width": 8}]), "the image 9 has neither file_name nor coco_url"),
    ],
)
def test_wrong_boxes(tmp_path: Path, pngs: list[bytes], what: dict[str, Any], message: str) -> None:
    """A box without area or outside its image, and what else cannot be compared, names its annotation at once."""
    if "unknown" not in message and "image 9" in message:
        what["annotations"] = [what["annotations"][0]]
    with pytest.raises(DataError, match=message):
        load(tmp_path, pngs, what)


def test_one_bad_line_of_many(tmp_path: Path, pngs: list[bytes]) -> None:
    """One bad box among 100,000 is named."""
    rows = [{**BOX, "id": i, "image_id": 9, "bbox": [1, 1, 3, 3], "area": 9} for i in range(100_000)]
    rows[77_777]["bbox"] = [1, 1, 3, 0]
    with pytest.raises(DataError, match="annotation 77777 has the box"):
        load(tmp_path, pngs, content(annotations=rows))
    assert len(load(tmp_path, pngs, content(annotations=rows), least=0.01).targets[2].boxes) == 99_999


def test_a_target_of_another_size(tmp_path: Path, pngs: list[bytes]) -> None:
    """An image that is not of the size which its annotations state is named where the index is built."""
    from ssl_bench import targets

    what = content()
    what["images"][0]["width"] = 20
    split = load(tmp_path, pngs, what)
    with pytest.raises(DataError, match=r"the target of 9\.png is of 20x8 pixels, but its image has 8x8"):
        targets.check(split.targets[2], (8, 8), 2, split.ids[2])


def test_lvis(tmp_path: Path, pngs: list[bytes]) -> None:
    """LVIS names images by COCO's address, and the classes that are absent and those that are not marked throughout;
    images may lie in two places."""
    what = content()
    for image, name in zip(what["images"], ("train2017/9.png", "val2017/4.png", "train2017/7.png"), strict=True):
        del image["file_name"]
        image |= {"coco_url": f"http://images/{name}", "neg_category_ids": [90], "not_exhaustive_category_ids": [1]}
    for part, keys in (("a/train2017", (9, 7)), ("b/val2017", (4,))):
        (tmp_path / part).mkdir(parents=True)
        for key in keys:
            (tmp_path / part / f"{key}.png").write_bytes(pngs[list(SIZES).index(key)])
    (tmp_path / "a.json").write_text(json.dumps(what))
    place = {"images": ["a", "b"], "annotations": "a.json"}
    split = coco.load({"splits": {"all": place}, "labels": "boxes"}, tmp_path)["all"]
    assert split.ids == ("val2017/4.png", "train2017/7.png", "train2017/9.png")
    assert [split.read(i) for i in range(3)] == [pngs[1], pngs[2], pngs[0]]
    assert [len(split.targets[i].boxes) for i in range(3)] == [1, 0, 2]
    assert (split.targets[1].absent.tolist(), split.targets[1].partial.tolist()) == ([1], [0])
    assert split.targets[1].digest != load(tmp_path, pngs, content()).targets[1].digest


XML = "<annotation><size><width>8</width><height>8</height></size>{}</annotation>"
OBJECT = "<object><name>{}</name><difficult>{}</difficult><bndbox>{}</bndbox></object>"
SIDES = "<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>"


def write(folder: Path, pngs: list[bytes], *objects: str, size: str = "") -> dict[str, Any]:
    for part in ("photos", "notes"):
        (folder / "set" / part).mkdir(parents=True, exist_ok=True)
    (folder / "set/photos/a.jpg").write_bytes(pngs[0])
    text = XML.format("".join(objects))
    (folder / "set/notes/a.xml").write_text(text.replace("<width>8</width>", size) if size else text)
    return {"splits": {"all": "set"}, "images": "photos", "annotations": "notes", "labels": "boxes"}


def test_vocs_objects(tmp_path: Path, pngs: list[bytes]) -> None:
    """VOC's pixels count from 1 and include the last: a box of 1 to 1 is a pixel wide; thin ones may be left out."""
    options = write(
        tmp_path,
        pngs,
        OBJECT.format("cat", 1, SIDES.format(1, 1, 1, 1)),
        OBJECT.format("ant", 0, SIDES.format(2, 3, 5.5, 8)),
    )
    split = voc.load(options, tmp_path)["all"]
    assert (split.ids, split.class_names) == (("a",), ("ant", "cat"))
    found = split.targets[0]
    assert found.boxes.tolist() == [[0, 0, 1, 1], [1, 2, 5.5, 8]]
    assert (found.labels.tolist(), found.difficult.tolist(), found.areas.tolist()) == ([1, 0], [True, False], [1, 27])
    assert voc.load({**options, "least": 2}, tmp_path)["all"].targets[0].labels.tolist() == [0]
    options = write(tmp_path, pngs, OBJECT.format("cat", 0, SIDES.format(4, 1, 2, 3)))
    with pytest.raises(DataError, match=r"object 0 of a has the box .*, which has no area"):
        voc.load(options, tmp_path)["all"].targets[0].check(1, "a")


@pytest.mark.parametrize(
    ("objects", "size", "message"),
    [
        (OBJECT.format("ant", 0, "<xmin>1</xmin>"), "", r"a\.xml: an object 'ant' has no bndbox of four numbers"),
        (OBJECT.format("ant", 0, SIDES.format("x", 1, 2, 3)), "", "no bndbox of four numbers"),
        ("", "<width>8.5</width>", r"a\.xml does not say the image's size in whole pixels"),
        (OBJECT.format("bee", 0, SIDES.format(1, 1, 2, 3)), "", r"a\.xml shows 'bee', which is not one of"),
    ],
)
def test_wrong_annotations(tmp_path: Path, pngs: list[bytes], objects: str, size: str, message: str) -> None:
    """An annotation without a box, a size or a known class is named."""
    options = write(tmp_path, pngs, objects, size=size) | {"classes": ["ant"]}
    with pytest.raises(DataError, match=message):
        voc.load(options, tmp_path)["all"].targets[0]


def test_annotations_without_images(tmp_path: Path, pngs: list[bytes]) -> None:
    """An annotation whose image is not there is named, and so is a folder without any."""
    options = write(tmp_path, pngs)
    (tmp_path / "set/notes/b.xml").write_text(XML.format(""))
    with pytest.raises(DataError, match=r"b\.xml has no image photos/b\.jpg"):
        voc.load(options, tmp_path)
    with pytest.raises(DataError, match="none holds no annotations"):
        voc.load({**options, "annotations": "none"}, tmp_path)


@pytest.mark.data
def test_one_truth_in_two_forms(real_data: Path, tmp_path: Path) -> None:
    """The objects of 100 photographs of VOC are the same in VOC's XML and in COCO's form of it, but for the pixel that
    its converter does not count."""
    unpack(real_data / "voc100/voc100.tar", tmp_path)
    card = tasks.get("voc100")
    own = voc.load({**card.data, "splits": {"all": str(real_data / "voc100/voc100.tar")}}, tmp_path)["all"]
    place = {"images": "images", "annotations": "gts/coco_format_v2/instances_v2.json"}
    other = coco.load({"splits": {"all": place}, "labels": "boxes"}, tmp_path)["all"]
    places = {Path(name).stem: i for i, name in enumerate(other.ids)}
    objects = 0
    for number, name in enumerate(own.ids):
        mine, theirs = own.targets[number], other.targets[places[name]]
        said = [
            sorted((split.class_names[label], *box) for label, box in zip(one.labels, one.boxes.tolist(), strict=True))
            for split, one in ((own, mine), (other, theirs))
        ]
        assert [row[0] for row in said[0]] == [row[0] for row in said[1]]
        assert np.abs(np.array([row[1:] for row in said[0]]) - np.array([row[1:] for row in said[1]])).max() <= 1
        objects += len(mine.boxes)
    assert objects == 273


@pytest.mark.data
def test_the_cards(real_data: Path) -> None:
    """The cards of real sets load with all their objects: two slips of one pixel are left out of BCCD's 4,888."""
    roles = datasets.load(tasks.get("bccd"), real_data)
    counts = {role: sum(len(split.targets[i].boxes) for i in range(len(split))) for role, split in roles.items()}
    assert counts == {"train": 2804, "val": 1137, "test": 945}
