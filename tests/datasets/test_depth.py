"""Readers of distances and normals, on replicas of their sources: what is known of each pixel, and damaged files."""

from __future__ import annotations

import dataclasses
import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ssl_bench import datasets, tasks
from ssl_bench.datasets import depth_lists, index, surfaces
from ssl_bench.datasets.surfaces import Frame
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.targets import Targets
from ssl_bench.tasks import TaskCard
from tests.datasets.replicas import BY_HAND, encoded
from tests.datasets.replicas import depth_lists as replica
from tests.datasets.replicas import nyu_labelled as labelled


def prepared(name: str, root: Path) -> TaskCard:
    """Put a card's replica into `root`, as its fetching and a person would."""
    card = tasks.get(name)
    if name in labelled.CARDS:
        pytest.importorskip("h5py")
        labelled.build(root, name)
        return card
    replica.build(root, name)
    for folder in (root / BY_HAND).iterdir():
        shutil.move(folder, root / folder.name)
    for file in card.source.files:
        (root / Path(file.path).name).rename(root / file.path)
    return card


def targets(card: TaskCard, root: Path, role: str) -> Targets:
    found = datasets.load(card, root)[role].targets
    assert found is not None
    return found


def kept(metres: np.ndarray, rows: slice, columns: slice, below: float = np.inf) -> np.ndarray:
    """What of distances is known: those in the crop, and nearer than `below`."""
    found = np.zeros_like(metres)
    found[rows, columns] = metres[rows, columns]
    return np.where(found < below, found, 0)


def test_nyu(tmp_path: Path) -> None:
    """Of train what the depth camera sees is shown; of test the Eigen crop counts, below 10 m, and all is shown."""
    card = prepared("nyu_depth", tmp_path)
    np.testing.assert_allclose(
        targets(card, tmp_path, "train")[1].metres, replica.scene("nyu", 1)[1][45:472, 43:608], atol=1.1e-3
    )
    expected = kept(np.round(replica.scene("nyu", 4)[1], 3), slice(45, 471), slice(41, 601), 10)
    np.testing.assert_allclose(targets(card, tmp_path, "test")[1].metres, expected, atol=1.1e-3)
    assert expected.max() > 9.9


def test_kitti(tmp_path: Path) -> None:
    """The lower middle is shown, 1216 x 352; of test Garg's crop of it counts, below 80 m."""
    card = prepared("kitti_depth", tmp_path)
    shown = replica.scene("kitti", 3)[1][18:, 4:1220]
    expected = kept(shown, slice(int(0.40810811 * 352), int(0.99189189 * 352)), slice(43, int(0.96405229 * 1216)), 80)
    np.testing.assert_allclose(targets(card, tmp_path, "test")[0].metres, expected, atol=4e-3)
    np.testing.assert_allclose(
        targets(card, tmp_path, "train")[0].metres, replica.scene("kitti", 0)[1][18:, 4:1220], atol=4e-3
    )


def test_sun_rgbd(tmp_path: Path) -> None:
    """Numbers are turned back by three bits, and distances beyond 8 m are 8 m."""
    card = prepared("nyu_to_sun_rgbd", tmp_path)
    expected = kept(np.minimum(replica.scene("sun", 3)[1], 8), slice(45, 471), slice(41, 601))
    np.testing.assert_allclose(targets(card, tmp_path, "test")[0].metres, expected, atol=1.1e-3)


def test_nyu_labelled(tmp_path: Path) -> None:
    """MATLAB's axes are turned, each split has its images, and depths are those that are filled in."""
    card = prepared("nyu_labelled_depth", tmp_path)
    filled = np.maximum(replica.scene("nyu", 2)[1], 0.25)[45:472, 43:608]
    np.testing.assert_allclose(targets(card, tmp_path, "train")[1].metres, filled, rtol=1e-6)
    expected = kept(np.maximum(replica.scene("nyu", 3)[1], 0.25), slice(45, 471), slice(41, 601), 10)
    np.testing.assert_allclose(targets(card, tmp_path, "test")[1].metres, expected, rtol=1e-6)


def test_nyu_normals(tmp_path: Path) -> None:
    """A normal counts where the depth camera saw something; sources pickle as small as the paths that they hold."""
    card = prepared("nyu_normals", tmp_path)
    split = datasets.load(card, tmp_path)["test"]
    again = pickle.loads(pickle.dumps(split))  # noqa: S301 - written on the line itself
    expected = labelled.normals(1) * (replica.scene("nyu", 1)[1] > 0)[..., None]
    np.testing.assert_allclose(again.targets[0].normals, expected, atol=1e-6)
    assert len(pickle.dumps(split)) < 5000


@pytest.mark.parametrize("name", ["nyu_depth", "nyu_normals"])
def test_the_digest_covers_what_is_known(name: str, tmp_path: Path) -> None:
    """The index checks every target, and another crop of the truth is another task."""
    card = prepared(name, tmp_path)
    if name == "nyu_depth":
        data: dict[str, Any] = {
            "splits": {"train": card.data["splits"]["train"], "test": {**card.data["splits"]["test"], "below": 9.0}}
        }
    else:
        data = {**card.data, "counted": {"test": [0, 0, 600, 400]}}
    digests = [
        index.build(one, tmp_path, tmp_path / "cache").task_digest
        for one in (card, dataclasses.replace(card, data=data))
    ]
    assert digests[0] != digests[1]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A folder of two small images with maps, and their list."""
    for number in range(2):
        picture = np.full((6, 8, 3), 40 * number, np.uint8)
        (tmp_path / f"{number}.png").write_bytes(encoded(picture, "png"))
        (tmp_path / f"{number}_depth.png").write_bytes(replica.depth_png(np.full((6, 8), 1500)))
    (tmp_path / "list.txt").write_text("0.png 0_depth.png\n1.png 1_depth.png 500.0\n\n")
    return tmp_path


def read(root: Path, **changes: Any) -> Any:
    part = {"list": "list.txt", "images": "."} | changes
    says = part.pop("says", "distances")
    return depth_lists.load({"splits": {"test": part}, "says": says}, root)["test"].targets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.png\n", "line 1: '0.png' is not the paths"),
        ("0.png 0_depth.png\n0.png 1_depth.png\n", "line 2: '0.png' is listed twice"),
        ("0.png 2_depth.png\n", "holds no file '2_depth.png'"),
        ("0.png None 518\n", "lists no image with a map"),
        ("a b c d\n", "line 1: 'a b c d' is not the paths"),
        ("\xff", "is not UTF-8 text"),
    ],
)
def test_bad_lists(text: str, said: str, small: Path) -> None:
    """A line that is none is named by its number; so is a path that is absent or listed twice."""
    (small / "list.txt").write_bytes(text.encode("latin1"))
    with pytest.raises(DataError, match=said):
        read(small)


def test_one_bad_line_of_many(small: Path) -> None:
    """The one bad line of 100,000 is named."""
    lines = [f"{number}.png {number}_depth.png" for number in range(100_000)]
    lines[77_776] = "here there is a mistake"
    (small / "list.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="line 77777"):
        read(small)


def test_forms_of_maps(small: Path) -> None:
    """A map is an image of 16 bits, of floats, or a NumPy file; what is not finite is unknown; -1 is refused later."""
    values = np.arange(48, dtype=np.float32).reshape(6, 8)
    values[0, 1] = np.nan
    np.save(small / "0_depth.npy", values)
    Image.fromarray(values).save(small / "1_depth.tif")
    (small / "list.txt").write_text("0.png 0_depth.npy\n1.png 1_depth.tif\n")
    found = read(small, metre=2)
    for number in range(2):
        np.testing.assert_array_equal(found[number].metres, np.nan_to_num(values) / 2)


def test_forms_of_normals(small: Path) -> None:
    """Colours stand for directions and are brought to length 1; black and a middle grey are none."""
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[1], colours[2] = (255, 128, 128), (127, 127, 128)
    (small / "0_depth.png").write_bytes(encoded(colours, "png"))
    np.save(small / "1_depth.npy", np.full((6, 8, 3), 0.2))
    (small / "list.txt").write_text("0.png 0_depth.png\n1.png 1_depth.npy\n")
    found = read(small, says="normals")
    np.testing.assert_allclose(found[0].normals[1, 0], [1, 0, 0], atol=0.01)
    assert np.linalg.norm(found[0].normals[1, 0]) == pytest.approx(1)
    assert not found[0].normals[[0, 2]].any()
    np.testing.assert_allclose(found[1].normals, 3**-0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "cannot decode the image the map 0_depth.png"),
        (b"\x93NUMPYxx", "the map 0_depth.png is no whole NumPy array"),
        (encoded(np.zeros((6, 8, 3), np.uint8), "png"), "one number a pixel"),
    ],
)
def test_damaged_maps(content: bytes, said: str, small: Path) -> None:
    """A map that cannot be read, or has three numbers a pixel, is named."""
    (small / "0_depth.png").write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(small)[0]


def test_a_map_of_another_size(small: Path) -> None:
    """A map of another size than its image is refused by the index, which names the image."""
    (small / "1_depth.png").write_bytes(replica.depth_png(np.ones((8, 6))))
    part = {"list": "list.txt", "images": "."}
    card = tasks.TaskCard(
        "own",
        "own",
        "depth_lists",
        0,
        "depth",
        "rmse",
        data={"splits": {"a": part, "b": part}},
        splits=tasks.Splits("a", "", "b"),
    )
    with pytest.raises(DataError, match=r"the target of 1.png is of 6x8 pixels, but its image has 8x6"):
        index.build(card, small, small / "cache")


def test_frames() -> None:
    """A cut that shows more than the image has is refused; so is one of three numbers."""
    assert Frame((4, 2)).shown(5, 9, "it") == (2, 3, 6, 5)
    assert Frame((1, 2, 3, 4)).shown(5, 9, "it") == (1, 2, 3, 4)
    for cut in ((4, 6), (10, 2), (1, 2, 10, 4)):
        with pytest.raises(DataError, match=r"it is of 9x5 pixels, and data\.cut shows more"):
            Frame(cut).shown(5, 9, "it")
    with pytest.raises(UsageError):
        Frame((1, 2, 3))


def test_what_is_absent_is_named(small: Path) -> None:
    """Every folder and list that is not there is named at once."""
    with pytest.raises(MissingError, match=r"other\.txt.*nowhere"):
        read(small, list="other.txt", images="nowhere")


def test_damaged_labelled_files(tmp_path: Path) -> None:
    """A file that is none of NYU's is named, with what to do."""
    card = prepared("nyu_labelled_depth", tmp_path)
    splits = tmp_path / "nyu_labelled/splits.mat"
    whole = splits.read_bytes()
    splits.write_bytes(whole[:100])
    with pytest.raises(DataError, match=r"splits.mat is not NYU's splits.mat: .* Download it again"):
        datasets.load(card, tmp_path)
    splits.write_bytes(whole)
    (tmp_path / "nyu_labelled/nyu_depth_v2_labeled.mat").write_bytes(b"no")
    with pytest.raises(DataError, match=r"cannot read .*labeled.mat: .* Download it again"):
        datasets.load(card, tmp_path)


def test_numbers_of_a_palette() -> None:
    """An image with a palette, or with transparency, is read by its colours."""
    image = Image.fromarray(np.full((2, 2, 3), 200, np.uint8)).quantize(4)
    buffer = io.BytesIO()
    image.save(buffer, "png")
    assert surfaces.numbers(buffer.getvalue(), "it").shape == (2, 2, 3)
