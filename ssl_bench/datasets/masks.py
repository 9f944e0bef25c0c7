"""Images and masks of the same names, each in a folder, tar or zip of its own or in one: a class for every pixel.

A mask is a picture of one channel, grey or of a palette, whose values say the class; a palette's colours do not matter.
Those of SBD (Hariharan et al., ICCV 2011) are MATLAB's files, GTcls.Segmentation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards, images
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import ImageSource, Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError, UsageError
from ssl_bench.targets import VOID, Mask

UNKNOWN = 254
"""Among what a mask's values stand for: a value that stands for nothing."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a split lies. Folders within are searched to any depth."""

    images: str
    """The folder or archive of the images, relative to the data folder."""
    inside: str = ""
    """Folder within it that holds them, such as "train/images"."""
    masks: str = ""
    """The folder or archive of the masks; empty: that of the images."""
    masks_inside: str = ""
    """Folder within that holds them, such as "train/labels"."""
    names: tuple[str, ...] = ()
    """Text files in the masks' folder or archive that name the images, one a line, without their endings; empty: all
    images, each of which must have a mask, and every mask an image."""
    without: tuple[str, ...] = ()
    """The same in the images' folder or archive, of names that are left out."""
    image_ending: str = ""
    """What follows the name in an image's file, such as "_leftImg8bit.png"; empty: its suffix, whichever it is."""
    mask_ending: str = ".png"
    """What follows the name in a mask's file."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, Place]
    """Split name to where it lies."""
    values: tuple[int, ...] = ()
    """The masks' value of each class, in the order of labels; empty: a value is the label."""
    void: tuple[int, ...] = ()
    """Values of pixels that count for no class; 255 always is one."""
    parts: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """For a source of one split: the splits to draw of it, name to share; the shares add up to 1."""

    def __post_init__(self) -> None:
        said = [*self.values, *self.void]
        if len(set(said)) < len(said) or not all(0 <= value <= VOID for value in said) or VOID in self.values:
            raise UsageError("data.values and data.void must be different numbers from 0 to 255, and 255 is void")
        if len(self.values) > UNKNOWN:
            raise UsageError(f"data.values has {len(self.values)} values, and there can be {UNKNOWN} classes")
        if self.parts and (len(self.splits) > 1 or abs(sum(self.parts.values()) - 1) > 1e-9):
            raise UsageError(f"data.parts: the shares {dict(self.parts)} must add up to 1, and be of a single split")

    @property
    def meaning(self) -> NDArray[np.uint8]:
        """What every value stands for (256,): a label, VOID or UNKNOWN."""
        labels = np.full(VOID + 1, UNKNOWN, dtype=np.uint8) if self.values else np.arange(VOID + 1, dtype=np.uint8)
        labels[list(self.values)] = np.arange(len(self.values))
        labels[[*self.void, VOID]] = VOID
        return labels


@dataclasses.dataclass(frozen=True, eq=False)
class Masks:
    """Masks by position."""

    files: ImageSource
    place: Path
    """The folder or archive that holds them, and below it their `names`, for messages."""
    names: tuple[str, ...]
    meaning: NDArray[np.uint8]  # (256,): what every value stands for
    listed: bool
    """True where the card lists which values there are."""

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Mask:
        """Return mask `index`; raise DataError, naming it, for what is none."""
        name = f"{self.place}/{self.names[index]}"
        values = _values(self.files.read(index), name)
        labels = self.meaning[values]
        if self.listed and (labels == UNKNOWN).any():
            row, column = np.argwhere(labels == UNKNOWN)[0]
            raise DataError(
                f"the mask {name} has the value {values[row, column]} at row {row}, column {column}, "
                "which neither data.values nor data.void lists; add it to one of them"
            )
        return Mask(labels)


def _values(raw: images.Raw, name: str) -> NDArray[np.uint8]:
    """Return the values of a mask's pixels (height, width); raise DataError for more than one channel or byte."""
    if isinstance(raw, bytes) and raw.startswith(b"MATLAB 5.0"):
        return _of_matlab(raw, name)
    picture = images.decode(raw, name)
    if picture.mode not in ("1", "L", "P") and not picture.mode.startswith("I"):
        raise DataError(
            f"the mask {name} has the channels {'+'.join(picture.getbands())}, but a mask has one, whose values are "
            "the classes; save it as a grey or palette PNG"
        )
    values = np.asarray(picture)
    if values.dtype not in (np.uint8, np.bool_) and (values.min() < 0 or values.max() > VOID):
        raise DataError(f"the mask {name} has the value {values.max()}, above 255; number its classes from 0 to 254")
    return values.astype(np.uint8)


def _of_matlab(raw: bytes, name: str) -> NDArray[np.uint8]:
    """Return what SBD's file of one image says; raise DataError for another or a damaged one."""
    from scipy import io as matlab

    try:
        values = np.asarray(matlab.loadmat(io.BytesIO(raw))["GTcls"][0, 0]["Segmentation"])
        if values.ndim != 2 or values.dtype != np.uint8:
            raise ValueError(f"GTcls.Segmentation is {values.dtype}{values.shape}")
    except Exception as error:  # loadmat raises what its parts do: zlib.error, TypeError, IndexError, …
        raise DataError(f"the mask {name} is no whole file of SBD: {error!r:.120}. Download it again.") from error
    return values


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archives, or every file of the folders; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    places = [path for place in chosen.splits.values() for path in (place.images, place.masks or place.images)]
    return tuple(root / path for path in dict.fromkeys(places))


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their lists, or by name; an id is the path below `inside` without its ending.

    Raises DataError for an image without a mask, a mask without an image, and names that are listed or found twice.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    listings = {path: containers.listing(path) for path in _places(chosen, root)}
    splits = {split: _split(place, chosen, listings, root) for split, place in chosen.splits.items()}
    return _drawn(next(iter(splits.values())), chosen.parts) if chosen.parts else splits


def _drawn(split: Split, parts: Mapping[str, float]) -> dict[str, Split]:
    """Return a split in parts: its samples in the order of their names' md5, cut by shares."""
    order = sorted(range(len(split)), key=lambda i: hashlib.md5(split.ids[i].encode(), usedforsecurity=False).digest())
    cuts = [round(share * len(split)) for share in itertools.accumulate(parts.values())]
    return {
        name: split.take(sorted(order[start:stop])) for name, start, stop in zip(parts, [0, *cuts], cuts, strict=False)
    }


def _split(place: Place, chosen: Options, listings: Mapping[Path, Listing], root: Path) -> Split:
    pictures, masks = listings[root / place.images], listings[root / (place.masks or place.images)]
    shown = _below(pictures, place.inside, place.image_ending)
    drawn = _below(masks, place.masks_inside, place.mask_ending)
    names = _listed(masks, place.names) if place.names else sorted({*shown, *drawn})
    left_out = set(_listed(pictures, place.without))
    names = [name for name in names if name not in left_out]
    _check(names, shown, f"{pictures.path}/{place.inside} holds no image", place)
    _check(names, drawn, f"{masks.path}/{place.masks_inside} holds no mask", place)
    if not names:
        raise DataError(f"{pictures.path}/{place.inside} holds no images")
    return Split(
        pictures.source([shown[name] for name in names]),
        np.arange(len(names)),
        tuple(names),
        np.zeros((len(names), 0), dtype=np.int64),
        truth=Masks(
            masks.source([drawn[name] for name in names]),
            masks.path,
            tuple(drawn[name] for name in names),
            chosen.meaning,
            bool(chosen.values),
        ),
    )


def _check(names: list[str], found: Mapping[str, str], lack: str, place: Place) -> None:
    """Raise DataError for the first name that has no file."""
    for name in names:
        if name not in found:
            mend = f"or take the name from {place.names[0]}" if place.names else "or remove its other half"
            raise DataError(f"{lack} of {name!r}; add it, {mend}")


def _below(listing: Listing, inside: str, ending: str) -> dict[str, str]:
    """Return name → path of the images below a folder; raise DataError for two files of one name."""
    prefix = inside.strip("/") + "/" if inside.strip("/") else ""
    found: dict[str, str] = {}
    for path in listing.spans:
        if not path.startswith(prefix) or not (path.endswith(ending) if ending else containers.is_image(path)):
            continue
        rest = path.removeprefix(prefix)
        name = rest.removesuffix(ending) if ending else rest.rpartition(".")[0]
        if name in found:
            raise DataError(f"{listing.path} holds both {found[name]} and {path}, of one name; remove one")
        found[name] = path
    return found


def _listed(listing: Listing, paths: tuple[str, ...]) -> list[str]:
    """Return the names in text files, in their order; raise DataError where one is absent or a name is repeated."""
    names: list[str] = []
    for path in paths:
        if path not in listing.spans:
            raise DataError(f"{listing.path} holds no list {path}; unpack it again or correct the card's data.splits")
        try:
            names += listing.read(path).decode().split()
        except UnicodeDecodeError as error:
            raise DataError(f"{listing.path}/{path} is not UTF-8 text: {error.reason}") from error
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise DataError(f"{listing.path}/{', '.join(paths)} lists {twice!r} twice; remove one line")
    return names
