"""NYU Depth v2's labelled part as its authors pack it: 1,449 photographs with depths in a MATLAB file, and a split.

`depths` are filled in by colour, `rawDepths` are what the sensor saw. Normals are not in the file: those of Ladický et
al. (ECCV 2014) come as one array beside it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, surfaces
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.surfaces import Cut, Frame
from ssl_bench.errors import DataError, missing_package, reason
from ssl_bench.targets import Directions, Distances

SPLITS = {"train": "trainNdxs", "test": "testNdxs"}
"""Split to its name in splits.mat, which counts from 1."""
LOCK = threading.Lock()
"""HDF5 reads for one thread at a time."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    path: str
    """nyu_depth_v2_labeled.mat, relative to the data folder."""
    splits: str
    """splits.mat, relative to the data folder."""
    depths: Literal["depths", "rawDepths"] = "depths"
    """Which depth maps are true; of a normal only a pixel counts that has one."""
    normals: str = ""
    """A NumPy file (1449, height, width, 3) of normals, relative to the data folder: these are asked for, then."""
    below: float = 0.0
    """Distances of this and more count as unknown in test; 0: none do."""
    cut: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    """Split to the part that is shown; see `surfaces.Frame`."""
    counted: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    """Split to the part of it of which the truth counts; see `surfaces.Frame`."""

    def frame(self, split: str) -> Frame:
        """What is shown of a split, and what counts."""
        return Frame(self.cut.get(split, ()), self.counted.get(split, ()))


@dataclasses.dataclass(eq=False)
class Variable:
    """An array of the MATLAB file, image by image; MATLAB's axes come in the other order."""

    path: Path
    name: str
    length: int
    _opened: Any = None

    def __len__(self) -> int:
        return self.length

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None}

    def read(self, index: int) -> NDArray[Any]:
        """Return image `index`: (height, width) or (height, width, 3)."""
        with LOCK:
            if self._opened is None:
                self._opened = _opened(self.path)[self.name]
            try:
                found: NDArray[Any] = self._opened[index]
            except OSError as error:
                raise DataError(f"{self.path} is damaged at {self.name} {index}: {reason(error)}") from error
        return np.ascontiguousarray(found.T)


@dataclasses.dataclass(eq=False)
class Truth:
    """Distances, or normals, by position."""

    depths: Variable
    options: Options
    frame: Frame
    test: bool
    normals: Path | None = None

    def __len__(self) -> int:
        return len(self.depths)

    def read(self, index: int) -> Distances | Directions:
        """Return what is known of image `index`."""
        where = f"{self.depths.name} {index} of {self.depths.path}"
        metres = surfaces.distances(self.depths.read(index), 1.0, where)
        if self.normals is None:
            most = self.options.below if self.test and self.options.below else np.inf
            return Distances(self.frame.only_counted(np.where(metres < most, metres, np.float32(0)), where))
        found = surfaces.normals(np.load(self.normals, mmap_mode="r")[index], f"normal map {index} of {self.normals}")
        if found.shape[:2] != metres.shape:
            raise DataError(f"{self.normals} holds maps of another size than {self.depths.path}")
        return Directions(self.frame.only_counted(found * (metres > 0)[..., None], where))


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the files; raise MissingError that names all absent."""
    chosen = cards.from_table(Options, options, "data")
    places = [root / name for name in (chosen.path, chosen.splits, chosen.normals) if name]
    containers.require(*places)
    return places


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return train and test, in the order of splits.mat; an id is the image's number, from 1.

    Raises DataError for files that are not NYU's.
    """
    locate(options, root)
    chosen = cards.from_table(Options, options, "data")
    path = root / chosen.path
    with LOCK:
        file = _opened(path)
        try:
            count = int(file["images"].shape[0])
            if file[chosen.depths].shape[0] != count:
                raise ValueError("there are not as many depth maps as images")
        except (KeyError, ValueError) as error:
            raise DataError(f"{path} is not NYU's labelled part: {reason(error)}") from error
    normals = root / chosen.normals if chosen.normals else None
    if normals and (shape := np.load(normals, mmap_mode="r").shape)[:1] != (count,):
        raise DataError(f"{normals} has the shape {shape}, and {path} {count} images")
    splits = {}
    for split, rows in _rows(root / chosen.splits, count).items():
        frame = chosen.frame(split)
        images = Variable(path, "images", count)
        truth = Truth(Variable(path, chosen.depths, count), chosen, frame, split == "test", normals)
        labels = np.zeros((len(rows), 0), dtype=np.int64)
        ids = tuple(f"{row + 1:04d}" for row in rows.tolist())
        splits[split] = Split(Cut(images, frame) if frame.cut else images, rows, ids, labels, truth=truth)
    return splits


def _rows(path: Path, count: int) -> dict[str, NDArray[np.int64]]:
    """Return the positions of each split."""
    from scipy import io

    try:
        found = io.loadmat(path)
        rows = {split: np.asarray(found[name]).astype(np.int64).ravel() - 1 for split, name in SPLITS.items()}
        if any(len(one) and not 0 <= one.min() <= one.max() < count for one in rows.values()):
            raise ValueError(f"it counts images beyond {count}")
    except Exception as error:  # of damaged files scipy raises nearly anything
        raise DataError(f"{path} is not NYU's splits.mat: {reason(error)}. Download it again.") from error
    return rows


def _opened(path: Path) -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise missing_package("h5py", "pcam", "NYU Depth v2's labelled part") from error
    try:
        return h5py.File(path)
    except OSError as error:
        raise DataError(f"cannot read {path}: {reason(error)}. Download it again.") from error
