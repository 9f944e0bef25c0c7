"""Datasets that torchvision knows, from the files that it keeps; cards say where these are downloaded from.

Ids are what TensorFlow Datasets makes its keys of: the row number for arrays, the path below the folder of images for
files, `train_0` and so on for PatchCamelyon. Images stay encoded where torchvision's copy has files.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Arrays, ImageSource, Split
from ssl_bench.errors import DataError, UsageError, did_you_mean, missing_package, reason

ARRAY = ""
"""The folder of images of a dataset that has none: it is held as one array."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    name: str
    """A key of `SPECS`."""
    path: str = ""
    """torchvision's root, relative to the data folder."""
    classes: tuple[str, ...] = ()
    """Names of the classes to keep, in the order of their labels; empty: all."""


def _named_files(dataset: Any) -> tuple[list[Any], list[int]]:
    return dataset._image_files, dataset._labels


def _pets(dataset: Any) -> tuple[list[Any], list[int]]:
    return dataset._images, dataset._labels


def _folder(dataset: Any) -> tuple[list[Any], list[int]]:
    return [path for path, _ in dataset.samples], [label for _, label in dataset.samples]


def _caltech(dataset: Any) -> tuple[list[Any], list[int]]:
    """Without BACKGROUND_Google, which torchvision leaves out."""
    folder = Path(dataset.root) / "101_ObjectCategories"
    numbered = zip(dataset.y, dataset.index, strict=True)
    return [folder / dataset.categories[y] / f"image_{i:04d}.jpg" for y, i in numbered], dataset.y


def _pairs(dataset: Any) -> tuple[list[Any], list[int]]:
    return [path for path, _ in dataset._samples], [label for _, label in dataset._samples]


@dataclasses.dataclass(frozen=True)
class Spec:
    """How torchvision keeps a dataset."""

    kind: str
    """The class in `torchvision.datasets`."""
    files: tuple[str, ...]
    """Files and folders that hold it, below torchvision's root."""
    splits: Mapping[str, Mapping[str, Any]]
    """Split name to the arguments of the class."""
    images: str = ARRAY
    """Folder that ids are paths in."""
    samples: Callable[[Any], tuple[list[Any], list[int]]] = _named_files
    """How to get the paths and labels of a dataset of files."""


_CALTECH = "caltech101/101_ObjectCategories"
_CARS = tuple(f"stanford_cars/{n}" for n in ("cars_train", "cars_test", "devkit", "cars_test_annos_withlabels.mat"))
_CIFAR10 = tuple(f"cifar-10-batches-py/{n}" for n in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"))
_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_TRAIN_FLAG = {"train": {"train": True}, "test": {"train": False}}
_TRAIN_TEST = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "val": {"split": "val"}, "test": {"split": "test"}}
_FLOWERS = ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat")
_PCAM = "pcam/camelyonpatch_level_2_split_{split}_{part}.h5"
_PCAM_SPLITS = {"train": "train", "val": "valid", "test": "test"}

SPECS = {
    "caltech101": Spec(
        "Caltech101", ("caltech101/101_ObjectCategories",), {"all": {}}, "caltech101/101_ObjectCategories", _caltech
    ),
    "cifar10": Spec("CIFAR10", _CIFAR10, _TRAIN_FLAG),
    "cifar100": Spec("CIFAR100", tuple(f"cifar-100-python/{n}" for n in ("train", "test", "meta")), _TRAIN_FLAG),
    "dtd": Spec("DTD", ("dtd/dtd/labels", "dtd/dtd/images"), _THREE, "dtd/dtd/images"),
    "eurosat": Spec("EuroSAT", ("eurosat/2750",), {"train": {}}, "eurosat/2750", _folder),
    "fashion_mnist": Spec("FashionMNIST", tuple(f"FashionMNIST/raw/{n}" for n in _IDX), _TRAIN_FLAG),
    "fgvc_aircraft": Spec("FGVCAircraft", ("fgvc-aircraft-2013b/data",), _THREE, "fgvc-aircraft-2013b/data/images"),
    "flowers102": Spec("Flowers102", _FLOWERS, _THREE, "flowers-102/jpg"),
    "food101": Spec("Food101", ("food-101/meta", "food-101/images"), _TRAIN_TEST, "food-101/images"),
    "mnist": Spec("MNIST", tuple(f"MNIST/raw/{n}" for n in _IDX), _TRAIN_FLAG),
    "oxford_iiit_pet": Spec(
        "OxfordIIITPet",
        ("oxford-iiit-pet/annotations", "oxford-iiit-pet/images"),
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
        "oxford-iiit-pet/images",
        _pets,
    ),
    "pcam": Spec("PCAM", tuple(_PCAM.format(split=s, part=p) for s in _PCAM_SPLITS.values() for p in "xy"), _THREE),
    "stanford_cars": Spec("StanfordCars", _CARS, _TRAIN_TEST, "stanford_cars", _pairs),
    "svhn": Spec("SVHN", ("train_32x32.mat", "test_32x32.mat"), _TRAIN_TEST),
}


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the dataset's files; raise MissingError for the first that is not there, without importing torchvision."""
    chosen, spec = _chosen(options)
    return [file for name in spec.files for file in containers.files_of(root / chosen.path / name)]


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return torchvision's splits by the names in `SPECS`; raise DataError for files that fail its checks."""
    chosen, spec = _chosen(options)
    locate(options, root)
    folder = root / chosen.path
    if chosen.name == "pcam":
        return {name: _load_pcam(folder, name) for name in _PCAM_SPLITS}
    splits = {}
    for name in spec.splits:
        dataset = _open(chosen.name, folder, name)
        if spec.images == ARRAY:
            splits[name] = _load_arrays(chosen.name, folder, name, dataset)
        else:
            splits[name] = _load_files(spec, folder, dataset)
    return {name: _kept(name, split, chosen) for name, split in splits.items()} if chosen.classes else splits


def _kept(name: str, split: Split, options: Options) -> Split:
    """Return the samples of the chosen classes, labels numbered anew; ids name the split, as few-shot joins them."""
    for word in options.classes:
        if word not in split.class_names:
            hint = did_you_mean(word, split.class_names)
            raise UsageError(f"data.classes: {options.name} has no class {word!r}.{hint}")
    labels = np.array([split.class_names.index(word) for word in options.classes])
    kept = split.take(np.flatnonzero(np.isin(split.labels, labels)))
    numbered = (kept.labels[:, None] == labels[None, :]).argmax(axis=1)
    ids = tuple(f"{name}/{sample}" for sample in kept.ids)
    return dataclasses.replace(kept, ids=ids, labels=numbered, class_names=options.classes)


@dataclasses.dataclass(eq=False)
class Patches:
    """The images of an HDF5 file's array `x`, read one by one."""

    path: Path
    length: int
    _opened: tuple[int, Any] | None = None
    """The process that opened the file, since a handle does not survive a fork, and the array."""

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, index: int) -> NDArray[np.uint8]:
        """Return image `index`: uint8 (height, width, 3)."""
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), _hdf5(self.path)["x"]
        image: NDArray[np.uint8] = self._opened[1][index]
        return image


def _chosen(options: Mapping[str, Any]) -> tuple[Options, Spec]:
    chosen = cards.from_table(Options, options, "data")
    if chosen.name not in SPECS:
        known = ", ".join(SPECS)
        raise UsageError(
            f"data.name: no dataset is called {chosen.name!r}.{did_you_mean(chosen.name, SPECS)} Known: {known}"
        )
    return chosen, SPECS[chosen.name]


def _builder(spec: Spec) -> Any:
    import torchvision

    return getattr(torchvision.datasets, spec.kind)


def _open(name: str, folder: Path, split: str) -> Any:
    """Return torchvision's own dataset."""
    spec = SPECS[name]
    try:
        return _builder(spec)(folder, **spec.splits[split])
    except ImportError:  # scipy, for the files of MATLAB
        raise
    except Exception as error:  # of damaged files the libraries that torchvision uses raise nearly anything
        raise DataError(f"torchvision cannot read {name} in {folder}: {reason(error)}. Download it again.") from error


def _load_files(spec: Spec, folder: Path, dataset: Any) -> Split:
    paths, found = spec.samples(dataset)
    place = folder / spec.images
    names = tuple(Path(path).relative_to(place).as_posix() for path in paths)
    classes = getattr(dataset, "classes", None) or getattr(dataset, "categories", ())
    source = containers.Files(place, names)
    return Split(source, np.arange(len(names)), names, np.array(found, dtype=np.int64), tuple(classes or ()))


def _load_arrays(name: str, folder: Path, split: str, dataset: Any) -> Split:
    pixels = _pixels(dataset)
    found = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    rows = np.arange(len(pixels))
    source: ImageSource = Arrays(functools.partial(_opened, name, folder, split), len(pixels), pixels)
    ids = tuple(map(str, rows.tolist()))
    return Split(source, rows, ids, labels.whole(found, name), tuple(getattr(dataset, "classes", ())))


def _opened(name: str, folder: Path, split: str) -> NDArray[np.uint8]:
    return _pixels(_open(name, folder, split))


def _pixels(dataset: Any) -> NDArray[np.uint8]:
    """Return uint8 (images, height, width[, 3]); torchvision keeps some with channels first."""
    array = np.asarray(dataset.data)
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 and array.shape[1] == 3 else array


def _load_pcam(folder: Path, split: str) -> Split:
    """Read PatchCamelyon's files directly: torchvision opens both of them again for every image."""
    original = _PCAM_SPLITS[split]
    images, targets = (folder / _PCAM.format(split=original, part=part) for part in "xy")
    found = np.asarray(_hdf5(targets)["y"]).reshape(-1)
    rows = np.arange(len(found))
    ids = tuple(f"{original}_{row}" for row in rows.tolist())
    return Split(Patches(images, len(found)), rows, ids, labels.whole(found, str(targets)), ("normal", "tumour"))


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise missing_package("h5py", "pcam", "PatchCamelyon") from error
    try:
        return h5py.File(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}. Download it again.") from error
