from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssl_bench.datasets import kitti
from ssl_bench.errors import DataError, MissingError

OPTIONS = {"images": "images.zip", "labels": "labels", "devkit": "devkit"}
VIDEOS = 12
"""Of three images each; image i is the i-th of a permutation of the mapping's lines."""
LINES = np.random.default_rng(0).permutation(3 * VIDEOS)


def line(kind: str, z: float) -> str:
    return f"{kind} 0.00 0 -0.20 712.40 143.00 810.73 307.92 1.89 0.48 1.20 1.84 1.47 {z:.2f} 0.01\n"


def video(number: int) -> str:
    return f"2011_09_26_drive_{LINES[number] // 3:04d}_sync"


@pytest.fixture
def root(tmp_path: Path, pngs: list[bytes], packer: Callable[..., Path]) -> Path:
    """The authors' three archives, two of them unpacked: images are numbered at random over the videos."""
    for name in ("images/training/image_2", "images/testing/image_2", "labels/training/label_2", "devkit/mapping"):
        (tmp_path / name).mkdir(parents=True)
    for i in range(3 * VIDEOS):
        (tmp_path / f"images/training/image_2/{i:06d}.png").write_bytes(pngs[i])
        text = line("Pedestrian", 2.0) + line("DontCare", -1000.0) + line("Van", float(i)) + line("Car", 36.0)
        (tmp_path / f"labels/training/label_2/{i:06d}.txt").write_text(text)
    (tmp_path / "images/testing/image_2/000000.png").write_bytes(pngs[39])
    mapping = [f"2011_09_26 2011_09_26_drive_{i // 3:04d}_sync {i:010d}\n" for i in range(3 * VIDEOS)]
    (tmp_path / "devkit/mapping/train_mapping.txt").write_text("".join(mapping))
    (tmp_path / "devkit/mapping/train_rand.txt").write_text(",".join(str(i + 1) for i in LINES))
    packer(tmp_path / "images", tmp_path / "images.zip")
    return tmp_path


def test_labels() -> None:
    """The distance is strictly greater than its class's bound; only cars, vans and trucks count."""
    label = kitti.distance_label
    assert [label([line("Car", z)]) for z in (-3.0, 8.0, 8.01, 20.0, 20.01, 80.0)] == [0, 0, 1, 1, 2, 2]
    assert label([line("Car", 30.0), line("Truck", 9.0), line("Tram", 1.0), line("DontCare", -1000.0)]) == 1
    assert label([line("Cyclist", 4.0)]) == label([]) == 3


def test_split_by_video(root: Path, pngs: list[bytes]) -> None:
    """Test and val are a tenth of the videos each, drawn from the sorted names by np.random.seed(123)."""
    splits = kitti.load(OPTIONS, root)
    state = np.random.get_state()
    np.random.seed(123)
    names = [f"2011_09_26_drive_{i:04d}_sync" for i in range(VIDEOS)]
    [test] = np.random.choice(names, 1, replace=False)
    [val] = np.random.choice([name for name in names if name != test], 1, replace=False)
    np.random.set_state(state)
    assert {role: len(split) for role, split in splits.items()} == {"train": 30, "val": 3, "test": 3}
    assert {video(int(name[:6])) for name in splits["test"].ids} == {test}
    assert {video(int(name[:6])) for name in splits["val"].ids} == {val}
    for split in splits.values():
        numbers = [int(name.removesuffix(".png")) for name in split.ids]
        assert numbers == sorted(numbers)
        assert split.labels.tolist() == [0 if i <= 8 else 1 if i <= 20 else 2 for i in numbers]
        assert split.read(1) == pngs[numbers[1]]


def test_share_of_videos() -> None:
    """A tenth of the videos is rounded down, to one at least; the draw leaves NumPy's global state alone."""
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    members = kitti.divide([f"{i:03d}" for i in range(29)])
    assert (len(members["val"]), len(members["test"])) == (2, 2)
    assert [len(part) for part in kitti.divide(["a", "b", "c"]).values()] == [1, 1, 1]
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_dirt(root: Path) -> None:
    """All archives that are absent are named at once; a mapping, a label file and images that do not fit, by name."""
    with pytest.raises(MissingError, match=r"devkit\.zip, .*none"):
        kitti.locate({"images": "images.zip", "labels": "devkit.zip", "devkit": "none"}, root)
    (root / "labels/training/label_2/000004.txt").write_text("Car 0.00 0\n")
    with pytest.raises(DataError, match=r"000004\.txt does not hold KITTI's objects"):
        kitti.load(OPTIONS, root)
    (root / "labels/training/label_2/000004.txt").unlink()
    with pytest.raises(DataError, match=r"no file 'training/label_2/000004\.txt'"):
        kitti.load(OPTIONS, root)
    for text in ("0,1", "1,99", "a"):
        (root / "devkit/mapping/train_rand.txt").write_text(text)
        with pytest.raises(DataError, match="the files in mapping/ are not KITTI's"):
            kitti.load(OPTIONS, root)
    shutil.rmtree(root / "devkit")
    with pytest.raises(MissingError, match="devkit"):
        kitti.load(OPTIONS, root)
