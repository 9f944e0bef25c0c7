"""Images and masks of the same names: pairs, values and what they stand for, and what can be wrong with them."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_bench import datasets, tasks
from ssl_bench.datasets import index, masks
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.targets import VOID, Mask
from tests import scenes
from tests.datasets.replicas.scenes import matlab

PLACE = {"images": "set", "inside": "train/images", "masks_inside": "train/masks"}
OPTIONS: dict[str, Any] = {"splits": {"train": PLACE}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    scenes.write(tmp_path / "set")
    return tmp_path


def save(root: Path, values: np.ndarray | Image.Image, name: str = "000") -> None:
    """Put another mask in the place of a scene's."""
    picture = values if isinstance(values, Image.Image) else Image.fromarray(values)
    picture.save(root / "set" / "train" / "masks" / f"{name}.png")


def read(root: Path, position: int = 0, **options: Any) -> Mask:
    targets = masks.load(OPTIONS | options, root)["train"].targets
    assert targets is not None
    found: Mask = targets[position]
    return found


def test_pairs(root: Path) -> None:
    """An image and its mask have one name below their folders, which is the sample's id; 255 counts for nothing."""
    split = masks.load(OPTIONS, root)["train"]
    assert split.ids == ("000", "001", "002", "003", "004", "005")
    assert split.labels.shape == (6, 0)
    np.testing.assert_array_equal(read(root, 2).labels, scenes.scene(2)[1])
    assert len([path for path in masks.locate(OPTIONS, root) if path.suffix in (".jpg", ".png")]) == 20


def test_values_stand_for_classes(root: Path) -> None:
    """Values stand for labels in the card's order, and those that count for nothing become void."""
    save(root, np.array([[7, 3], [9, 255]], np.uint8))
    assert read(root, values=[3, 7], void=[9]).labels.tolist() == [[1, 0], [VOID, VOID]]
    assert read(root, void=[9]).labels.tolist() == [[7, 3], [VOID, VOID]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_pictures_of_one_channel(mode: str, root: Path) -> None:
    """Grey pictures of 1, 8 and 16 bits and palettes, whatever their colours, say their values."""
    labels = np.array([[0, 1, 1], [1, 0, 1]])
    if mode == "P":
        picture = Image.fromarray(labels.astype(np.uint8))
        picture.putpalette([90, 20, 7, 1, 2, 3])
    else:
        picture = Image.fromarray(labels.astype({"1": bool, "I;16": np.uint16}.get(mode, np.uint8)))
    assert picture.mode == mode
    save(root, picture)
    assert read(root).labels.tolist() == labels.tolist()


def test_a_mask_of_one_pixel(root: Path) -> None:
    """An image and a mask of one pixel are a pair like any other."""
    Image.fromarray(np.zeros((1, 1, 3), np.uint8)).save(root / "set" / "train" / "images" / "000.jpg")
    save(root, np.ones((1, 1), np.uint8))
    card = scenes.card(root / "set")
    built = index.build(card, root, root / "cache")
    assert built.samples == {"train": 6, "test": 4}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            np.zeros((32, 48, 3), np.uint8),
            r"the mask .*/set/train/masks/000.png has the channels R\+G\+B, .* save it as",
        ),
        (np.zeros((32, 48, 4), np.uint8), r"000.png has the channels R\+G\+B\+A"),
        (np.full((32, 48), 300, np.uint16), "000.png has the value 300, above 255"),
        (np.full((32, 48), 3, np.uint8), "the mask of 000 has the label 3 at row 0, column 0, outside 0 to 2; map it"),
        (np.zeros((32, 47), np.uint8), "the target of 000 is of 47x32 pixels, but its image has 48x32"),
    ],
)
def test_wrong_masks(values: np.ndarray, words: str, root: Path) -> None:
    """A mask in colours, with large values, with a label outside the classes or of another size than its image is one
    line that names the entry, told before anything is computed."""
    save(root, values)
    with pytest.raises(DataError, match=words) as error:
        index.build(scenes.card(root / "set"), root, root / "cache")
    assert "\n" not in str(error.value)


def test_values_that_stand_for_nothing(root: Path) -> None:
    """Where a card lists values, any other is named with its place."""
    save(root, np.array([[3, 3], [3, 5]], np.uint8))
    with pytest.raises(DataError, match=r"000\.png has the value 5 at row 1, column 1, which neither data\.values nor"):
        read(root, values=[3], void=[0])


def test_a_damaged_mask(root: Path) -> None:
    """A file that is no picture, or half of one, is named."""
    path = root / "set" / "train" / "masks" / "000.png"
    for content in (path.read_bytes()[:60], b"", b"MATLAB 5.0 file, but nothing of it"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"set/train/masks/000\.png") as error:
            read(root)
        assert "\n" not in str(error.value)


def test_masks_of_matlab(root: Path) -> None:
    """SBD's files are read, and another file of MATLAB is named."""
    from scipy.io import savemat

    path = root / "set" / "train" / "masks" / "000.png"
    path.write_bytes(matlab(np.array([[0, 20]], np.uint8)))
    assert read(root).labels.tolist() == [[0, 20]]
    buffer = io.BytesIO()
    savemat(buffer, {"other": np.zeros(3)})
    path.write_bytes(buffer.getvalue())
    with pytest.raises(DataError, match=r"the mask .*/set/train/masks/000\.png is no whole file of SBD"):
        read(root)


def test_halves_of_pairs(root: Path) -> None:
    """An image without a mask, and a mask without an image, are named."""
    (root / "set" / "train" / "masks" / "001.png").unlink()
    with pytest.raises(DataError, match=r"set/train/masks holds no mask of '001'; add it, or remove its other half"):
        masks.load(OPTIONS, root)
    (root / "set" / "train" / "images" / "001.jpg").unlink()
    (root / "set" / "train" / "images" / "004.jpg").unlink()
    with pytest.raises(DataError, match=r"set/train/images holds no image of '004'"):
        masks.load(OPTIONS, root)


def test_lists(root: Path) -> None:
    """Lists choose images in their order, less those that other lists name; each must be there, and once."""
    for name, text in {"some.txt": "004\n001\n\n", "more.txt": "002\n", "not.txt": "001\n"}.items():
        (root / "set" / name).write_text(text)
    place = PLACE | {"names": ["some.txt", "more.txt"], "without": ["not.txt"]}
    assert masks.load({"splits": {"train": place}}, root)["train"].ids == ("004", "002")
    for text, words in (
        ("009\n", "holds no image of '009'; add it, or take the name from some.txt"),
        ("002\n", "lists '002' twice"),
        ("\xff".encode("latin-1"), "is not UTF-8 text"),
    ):
        (root / "set" / "some.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(DataError, match=re.escape(words)):
            masks.load({"splits": {"train": place}}, root)
    with pytest.raises(DataError, match=r"holds no list gone\.txt"):
        masks.load({"splits": {"train": PLACE | {"names": ["gone.txt"]}}}, root)


def test_two_files_of_one_name(root: Path) -> None:
    """Two images that differ by their ending alone are refused, both named."""
    images = root / "set" / "train" / "images"
    (images / "000.png").write_bytes((images / "000.jpg").read_bytes())
    with pytest.raises(DataError, match=r"000\.jpg and train/images/000\.png, of one name"):
        masks.load(OPTIONS, root)


@pytest.mark.parametrize(
    "options", [{"values": [1, 1]}, {"values": [1], "void": [1]}, {"values": [255]}, {"void": [-1]}]
)
def test_wrong_options(options: dict[str, Any], root: Path) -> None:
    """A value that stands for two things, or is no byte, is refused."""
    with pytest.raises(UsageError, match="different numbers from 0 to 255"):
        masks.load(OPTIONS | options, root)


def test_nothing_is_there(tmp_path: Path) -> None:
    """An absent folder is missing data, and an empty one is named."""
    with pytest.raises(MissingError, match="set"):
        masks.locate(OPTIONS, tmp_path)
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=r"set/train/images holds no images"):
        masks.load(OPTIONS, tmp_path)


@pytest.mark.data
def test_camvid(data_root: Path, tmp_path: Path) -> None:
    """The real frames of CamVid have masks of their size in 11 classes, all of which occur in train and in val."""
    card = tasks.get("camvid")
    roles = datasets.load(card, data_root)
    assert {role: len(split) for role, split in roles.items()} == dict(card.source.samples)
    for split in roles.values():
        assert split.targets is not None
        counts = sum(np.bincount(split.targets[i].labels.ravel(), minlength=256) for i in range(len(split)))
        assert (np.flatnonzero(counts) == [*range(11), VOID]).all()
    # The sky is bright and above the road: names stand for what they say.
    target, image = roles["test"].targets[0], np.asarray(Image.open(io.BytesIO(roles["test"].read(0))).convert("L"))
    rows = [np.argwhere(target.labels == card.class_names.index(name))[:, 0].mean() for name in ("sky", "road")]
    assert rows[0] < rows[1]
    assert image[target.labels == 0].mean() > 150
    assert index.build(card, data_root, tmp_path, roles).task_digest == card.source.digest
