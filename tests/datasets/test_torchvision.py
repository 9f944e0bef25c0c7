"""torchvision's layouts are written here around real digits; its checks of size and md5, which fit its own files only,
are turned off where they stand in the way."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssl_bench import datasets
from ssl_bench.datasets import digits, torchvision
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.tasks import Source, TaskCard

COLOUR = np.arange(3, dtype=np.uint8)


@pytest.fixture
def pixels() -> np.ndarray:
    """Twenty digits as colour images of 32x32 pixels, whose channels differ."""
    split = digits.load({}, Path())["test"]
    grey = np.stack([np.asarray(Image.fromarray(np.asarray(split.read(i))).resize((32, 32))) for i in range(20)])
    return (grey[..., None] // 2 + COLOUR * 10).astype(np.uint8)


@pytest.fixture
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision as library

    for module in ("cifar", "flowers102", "svhn"):
        target = getattr(library.datasets, module)
        monkeypatch.setattr(target, "check_integrity", lambda path, md5=None: Path(path).is_file())


def write_images(folder: Path, names: list[str], pngs: list[bytes]) -> None:
    for name, png in zip(names, pngs, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png)


@pytest.mark.usefixtures("_unchecked")
def test_cifar100(tmp_path: Path, pixels: np.ndarray) -> None:
    """CIFAR keeps its order of rows, and its images travel by file, not by value."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    names = [f"class {i}" for i in range(100)]
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": names}))
    for name, part in (("train", slice(0, 12)), ("test", slice(12, 20))):
        rows = pixels[part].transpose(0, 3, 1, 2).reshape(-1, 3072)
        (folder / name).write_bytes(pickle.dumps({"data": rows, "fine_labels": list(range(len(rows)))}))
    split = torchvision.load({"name": "cifar100"}, tmp_path)["test"]
    assert split.ids == tuple(map(str, range(8)))
    assert split.labels.tolist() == list(range(8))
    assert len(split.class_names) == 100
    text = pickle.dumps(split.source)
    assert len(text) < 500
    np.testing.assert_array_equal(pickle.loads(text).read(3), pixels[15])  # noqa: S301 - what multiprocessing does


@pytest.mark.usefixtures("_unchecked")
def test_svhn(tmp_path: Path, pixels: np.ndarray) -> None:
    """SVHN's digit 0, which its files call 10, has the label 0."""
    from scipy.io import savemat

    for name in ("train", "test"):
        wanted = {"X": pixels.transpose(1, 2, 3, 0), "y": np.arange(1, 21)[:, None] % 10 + 1}
        savemat(tmp_path / f"{name}_32x32.mat", wanted)
    split = torchvision.load({"name": "svhn"}, tmp_path)["train"]
    assert split.labels[:10].tolist() == [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    np.testing.assert_array_equal(split.read(7), pixels[7])


def test_mnist(tmp_path: Path, pixels: np.ndarray) -> None:
    """MNIST comes from its idx files."""
    folder = tmp_path / "somewhere/MNIST/raw"
    folder.mkdir(parents=True)
    grey = pixels[:, :28, :28, 0]
    for part in ("train", "t10k"):
        header = np.array([2051, 20, 28, 28], dtype=">i4").tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + grey.tobytes())
        labels = np.array([2049, 20], dtype=">i4").tobytes() + bytes(i % 10 for i in range(20))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    split = torchvision.load({"name": "mnist", "path": "somewhere"}, tmp_path)["test"]
    assert split.labels.tolist() == [i % 10 for i in range(20)]
    np.testing.assert_array_equal(split.read(11), grey[11])


def test_dtd(tmp_path: Path, pngs: list[bytes]) -> None:
    """DTD's ids are the lines of its lists, its images the files' own bytes."""
    names = ["banded/banded_0002.jpg", "dotted/dotted_0001.jpg", "woven/woven_0001.jpg"]
    write_images(tmp_path / "dtd/dtd/images", names, pngs)
    (tmp_path / "dtd/dtd/labels").mkdir()
    for split in ("train", "val", "test"):
        (tmp_path / f"dtd/dtd/labels/{split}1.txt").write_text("\n".join(names[::-1]) + "\n")
    found = torchvision.load({"name": "dtd"}, tmp_path)
    assert list(found) == ["train", "val", "test"]
    assert found["val"].ids == tuple(names[::-1])
    assert found["val"].labels.tolist() == [2, 1, 0]
    assert found["val"].read(0) == pngs[2]
    assert len(torchvision.locate({"name": "dtd"}, tmp_path)) == 6


def test_pets(tmp_path: Path, pngs: list[bytes]) -> None:
    """The pets' train split is the official trainval list, as in TensorFlow Datasets; labels begin at 0."""
    names = ["Abyssinian_100", "beagle_2", "Abyssinian_7"]
    write_images(tmp_path / "oxford-iiit-pet/images", [f"{name}.jpg" for name in names], pngs)
    (tmp_path / "oxford-iiit-pet/annotations").mkdir()
    lines = "".join(f"{name} {1 + (name[0] == 'b')} 1 1\n" for name in names)
    for split in ("trainval", "test"):
        (tmp_path / f"oxford-iiit-pet/annotations/{split}.txt").write_text(lines)
    split = torchvision.load({"name": "oxford_iiit_pet"}, tmp_path)["train"]
    assert split.ids == ("Abyssinian_100.jpg", "beagle_2.jpg", "Abyssinian_7.jpg")
    assert split.labels.tolist() == [0, 1, 0]
    assert split.class_names == ("Abyssinian", "Beagle")


@pytest.mark.usefixtures("_unchecked")
def test_flowers(tmp_path: Path, pngs: list[bytes]) -> None:
    """The flowers' labels begin at 0 and their splits are those of the authors."""
    from scipy.io import savemat

    write_images(tmp_path / "flowers-102/jpg", [f"image_{i:05d}.jpg" for i in range(1, 7)], pngs)
    savemat(tmp_path / "flowers-102/imagelabels.mat", {"labels": np.array([77, 77, 1, 2, 3, 102])})
    splits = {"trnid": np.array([3, 1]), "valid": np.array([2, 4]), "tstid": np.array([6, 5])}
    savemat(tmp_path / "flowers-102/setid.mat", splits)
    found = torchvision.load({"name": "flowers102"}, tmp_path)
    assert found["train"].ids == ("image_00003.jpg", "image_00001.jpg")
    assert found["train"].labels.tolist() == [0, 76]
    assert found["test"].read(0) == pngs[5]


def test_eurosat_and_caltech(tmp_path: Path, pngs: list[bytes]) -> None:
    """Datasets without splits are one split, their ids paths of class folder and file."""
    write_images(tmp_path / "eurosat/2750", ["Forest/Forest_1.jpg", "River/River_1.jpg"], pngs)
    split = torchvision.load({"name": "eurosat"}, tmp_path)["train"]
    assert split.ids == ("Forest/Forest_1.jpg", "River/River_1.jpg")
    assert split.class_names == ("Forest", "River")
    names = ["BACKGROUND_Google/image_0001.jpg", "ant/image_0001.jpg", "ant/image_0002.jpg", "bass/image_0001.jpg"]
    write_images(tmp_path / "caltech101/101_ObjectCategories", names, pngs)
    (tmp_path / "caltech101/Annotations").mkdir()
    split = torchvision.load({"name": "caltech101"}, tmp_path)["all"]
    assert split.ids == tuple(names[1:])
    assert split.labels.tolist() == [0, 0, 1]


def test_food(tmp_path: Path, pngs: list[bytes]) -> None:
    """Food-101's labels are its classes by name, as torchvision numbers them."""
    write_images(tmp_path / "food-101/images", ["apple_pie/1.jpg", "waffles/2.jpg"], pngs)
    (tmp_path / "food-101/meta").mkdir()
    for split in ("train", "test"):
        text = json.dumps({"apple_pie": ["apple_pie/1"], "waffles": ["waffles/2"]})
        (tmp_path / f"food-101/meta/{split}.json").write_text(text)
    split = torchvision.load({"name": "food101"}, tmp_path)["test"]
    assert split.ids == ("apple_pie/1.jpg", "waffles/2.jpg")
    assert split.labels.tolist() == [0, 1]


def test_pcam(tmp_path: Path, pixels: np.ndarray) -> None:
    """PatchCamelyon's ids are TensorFlow Datasets' keys, and its images are read one by one."""
    h5py = pytest.importorskip("h5py")
    (tmp_path / "pcam").mkdir()
    for split in ("train", "valid", "test"):
        stem = tmp_path / f"pcam/camelyonpatch_level_2_split_{split}"
        with h5py.File(f"{stem}_x.h5", "w") as images, h5py.File(f"{stem}_y.h5", "w") as targets:
            images["x"] = pixels
            targets["y"] = (np.arange(20, dtype=np.uint8) % 2).reshape(-1, 1, 1, 1)
    split = torchvision.load({"name": "pcam"}, tmp_path)["val"]
    assert split.ids[:2] == ("valid_0", "valid_1")
    assert split.labels[:3].tolist() == [0, 1, 0]
    split.read(0)
    source = pickle.loads(pickle.dumps(split.source))  # noqa: S301 - what multiprocessing does
    np.testing.assert_array_equal(source.read(19), pixels[19])


def test_damaged(tmp_path: Path) -> None:
    """Files that fail torchvision's checks are an error that names the dataset and the place."""
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test", "meta"):
        (folder / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"torchvision cannot read cifar100 in .*corrupted"):
        torchvision.load({"name": "cifar100"}, tmp_path)


def test_missing(tmp_path: Path) -> None:
    """A dataset that is not there is missing, with its size and the command that gets it; a typo gets a suggestion."""
    card = TaskCard(
        "mine", "Mine", "torchvision", 100, data={"name": "cifar100"}, source=Source(bytes=169_001_437, manual="ask")
    )
    with pytest.raises(MissingError, match=r"cifar-100-python.train. Get it \(169\.0 MB\): ask"):
        datasets.load(card, tmp_path)
    with pytest.raises(UsageError, match=r"no dataset is called 'cifar_100'\. Did you mean cifar100"):
        torchvision.locate({"name": "cifar_100"}, tmp_path)


def test_every_class_exists() -> None:
    """Every dataset that is named here is one of torchvision's."""
    import torchvision as library

    assert all(hasattr(library.datasets, spec.kind) for spec in torchvision.SPECS.values())
