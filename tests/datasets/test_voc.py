"""PASCAL VOC's layout, written here around real digits, and two real sets in it."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import datasets, metrics, tasks
from ssl_bench.datasets import voc
from ssl_bench.errors import DataError, MissingError
from ssl_bench.predictions import Multilabel, Truth

OPTIONS = {"inside": "VOC2007", "splits": {"train": "voc", "test": "voc"}}
OBJECTS = {
    "000012": [("car", 0), ("car", 1)],
    "000005": [("train", 1), ("car", 0)],
    "000033": [("train", 0)],
    "000001": [("car", 1)],
    "000002": [],
}
"""Image to its objects: class, and whether it is marked as difficult."""
SPLITS = {"train": ("000005", "000012"), "test": ("000033", "000001", "000002")}
TRUTH = {"train": [[1, -1], [1, 0]], "test": [[0, 1], [-1, 0], [0, 0]]}
"""Per image: car, train."""
SAID = {1: " 1", 0: "-1", -1: " 0"}
XML = "<annotation><filename>{}.jpg</filename>{}</annotation>"
OBJECT = "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>1</xmin></bndbox></object>"


def write(folder: Path, pngs: list[bytes], splits: dict[str, tuple[str, ...]] = SPLITS) -> None:
    """Write the layout; the class's lists name images in another order than the split's."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for split, names in splits.items():
        (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for i, name in enumerate(names):
            (folder / f"JPEGImages/{name}.jpg").write_bytes(pngs[i])
            objects = "".join(OBJECT.format(*one) for one in OBJECTS[name])
            (folder / f"Annotations/{name}.xml").write_text(XML.format(name, objects))
        for column, one in enumerate(("car", "train")):
            lines = [f"{name} {SAID[row[column]]}\n" for name, row in zip(names, TRUTH[split], strict=True)]
            (folder / f"ImageSets/Main/{one}_{split}.txt").write_text("".join(sorted(lines)))


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes]) -> Path:
    write(tmp_path / "voc/VOC2007", pngs)
    return tmp_path


def test_lists_and_objects_agree(root: Path, pngs: list[bytes]) -> None:
    """A list's 1, -1 and 0 are 1, 0 and -1; the objects say the same, whichever order the lists are in."""
    for how in ("lists", "objects"):
        splits = voc.load({**OPTIONS, "labels": how}, root)
        assert {name: split.labels.tolist() for name, split in splits.items()} == TRUTH
        assert {name: split.ids for name, split in splits.items()} == SPLITS
        assert splits["test"].class_names == ("car", "train")
        assert splits["test"].read(1) == pngs[1]


def test_an_archive_per_split(tmp_path: Path, pngs: list[bytes], packer: Callable[..., Path]) -> None:
    """Train and test may lie in two archives of the same inner folder, as the published ones do."""
    for split, names in SPLITS.items():
        write(tmp_path / f"{split}/VOC2007", pngs, {split: names})
        packer(tmp_path / split, tmp_path / f"{split}.tar", prefix="")
    options = {**OPTIONS, "splits": {split: f"{split}.tar" for split in SPLITS}}
    splits = voc.load(options, tmp_path)
    assert {name: split.labels.tolist() for name, split in splits.items()} == TRUTH
    assert splits["train"].read(1) == pngs[1]
    assert len(voc.locate(options, tmp_path)) == 2
    with pytest.raises(MissingError, match=r"none\.tar"):
        voc.locate({**options, "splits": {"train": "none.tar"}}, tmp_path)


def test_the_card(tmp_path: Path, pngs: list[bytes]) -> None:
    """The card voc2007 loads from archives of the published names, and its targets score by the 11-point mAP."""
    card = tasks.get("voc2007")
    names = {"train": ("000012",), "val": ("000005",), "test": ("000033", "000001", "000002")}
    classes = [f"class{i:02}" for i in range(20)]
    targets = np.where(np.eye(5, 20) > 0, 1, np.where(np.eye(5, 20, 1) > 0, -1, 0))
    folder = tmp_path / "tree/VOCdevkit/VOC2007"
    write(folder, pngs, SPLITS)
    for path in (folder / "ImageSets/Main").iterdir():
        path.unlink()
    start = 0
    for split, own in names.items():
        (folder / f"ImageSets/Main/{split}.txt").write_text("\n".join(own) + "\n")
        for column, one in enumerate(classes):
            lines = [f"{name} {SAID[targets[start + i, column]]}\n" for i, name in enumerate(own)]
            (folder / f"ImageSets/Main/{one}_{split}.txt").write_text("".join(lines))
        start += len(own)
    (tmp_path / "voc2007").mkdir()
    for name in ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"):
        with tarfile.open(tmp_path / "voc2007" / name, "w") as archive:
            archive.add(tmp_path / "tree/VOCdevkit", "VOCdevkit")
    roles = datasets.load(card, tmp_path)
    assert {role: len(split) for role, split in roles.items()} == {"train": 1, "val": 1, "test": 3}
    np.testing.assert_array_equal(roles["test"].labels, targets[2:])
    said = Multilabel(roles["test"].labels.astype(np.float32))
    truth = Truth({"test": roles["test"].labels}, card.classes)
    assert metrics.get(card.metric).score(said, truth)[0] == 1.0


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ImageSets/Main/train.txt", "000005\n000099\n", r"lists '000099', but there is no JPEGImages/000099\.jpg"),
        ("ImageSets/Main/train.txt", "000005\n000005\n", r"train\.txt lists '000005' twice"),
        ("ImageSets/Main/train.txt", "\n", r"train\.txt lists no images"),
        ("ImageSets/Main/train.txt", "000005\n", r"car_train\.txt names, beyond its split, '000012'"),
        ("ImageSets/Main/car_test.txt", "000033 1\n000001 1\n", r"car_test\.txt does not name '000002'"),
        ("ImageSets/Main/car_train.txt", "000005  2\n000012 1\n", r"car_train\.txt: the line '000005  2' is not"),
        ("ImageSets/Main/bus_train.txt", "000005 1\n000012 1\n", "has lists of 'bus' for some splits only"),
    ],
)
def test_lists_that_are_wrong(root: Path, name: str, text: str, message: str) -> None:
    """A list that names an absent image, one twice, none, others than its split or no label is named with the image."""
    (root / "voc/VOC2007" / name).write_text(text)
    with pytest.raises(DataError, match=message):
        voc.load(OPTIONS, root)


def test_annotations_that_are_wrong(root: Path) -> None:
    """An annotation that is absent, cut or of an undeclared class is named; so is a set without lists of classes."""
    options = {**OPTIONS, "labels": "objects"}
    with pytest.raises(DataError, match=r"000033\.xml shows 'train', which is not one of data\.classes"):
        voc.load({**options, "classes": ["car"], "splits": {"test": "voc"}}, root)
    with pytest.raises(DataError, match=r"there is no list .*bus_train\.txt"):
        voc.load({**OPTIONS, "classes": ["bus"]}, root)
    path = root / "voc/VOC2007/Annotations/000001.xml"
    path.write_text(path.read_text()[:50])
    with pytest.raises(DataError, match=r"000001\.xml is not whole XML"):
        voc.load(options, root)
    path.unlink()
    with pytest.raises(DataError, match=r"there is no annotation .*000001\.xml"):
        voc.load(options, root)
    for one in (root / "voc/VOC2007/ImageSets/Main").glob("*_*.txt"):
        one.unlink()
    with pytest.raises(DataError, match=r'no lists <class>_train\.txt; data\.labels = "objects"'):
        voc.load(OPTIONS, root)


def test_blood_cells(real_data: Path) -> None:
    """A real set in VOC's layout, without lists of classes, has its published counts; two empty boxes do no harm."""
    [path] = (real_data / "bccd").glob("*.tar")
    names = ("train", "val", "test")
    options = {"inside": "BCCD", "labels": "objects", "splits": dict.fromkeys(names, str(path))}
    splits = voc.load(options, real_data)
    assert [len(splits[name]) for name in names] == [205, 87, 72]
    assert splits["train"].class_names == ("Platelets", "RBC", "WBC")
    assert set(np.unique(splits["train"].labels).tolist()) <= {-1, 0, 1}
