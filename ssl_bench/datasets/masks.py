"""Images and masks of the same names, each in a folder, tar or zip of its own or in one: a class for every pixel.

A mask is a picture of one channel, grey or of a palette, whose values say the class; a palette's colours do not matter.
"""

from __future__ import annotations

import dataclasses
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
    names: str = ""
    """A text file in the masks' folder or archive that names the images, one a line, without their endings; empty: all
    images, each of which must have a mask, and every mask an image."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, Place]
    """Split name to where it lies."""
    image_ending: str = ""
    """What follows the name in an image's file, such as "_leftImg8bit.png"; empty: its suffix, whichever it is."""
    mask_ending: str = ".png"
    """What follows the name in a mask's file."""
    values: tuple[int, ...] = ()
    """The masks' value of each class, in the order of labels; empty: a value is the label."""
    void: tuple[int, ...] = ()
    """Values of pixels that count for no class; 255 always is one."""

    def __post_init__(self) -> None:
        said = [*self.values, *self.void]
        if len(set(said)) < len(said) or not all(0 <= value <= VOID for value in said) or VOID in self.values:
            raise UsageError("data.values and data.void must be different numbers from 0 to 255, and 255 is void")
        if len(self.values) > UNKNOWN:
            raise UsageError(f"data.values has {len(self.values)} values, and there can be {UNKNOWN} classes")

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
    names: tuple[str, ...]
    """How messages call each."""
    meaning: NDArray[np.uint8]  # (256,): what every value stands for
    listed: bool
    """True where the card lists which values there are."""

    def __len__(self) -> int:
        return len(self.files)

    def read(self, index: int) -> Mask:
        """Return mask `index`; raise DataError, naming it, for what is none."""
        values = _values(self.files.read(index), self.names[index])
        labels = self.meaning[values]
        if self.listed and (labels == UNKNOWN).any():
            row, column = np.argwhere(labels == UNKNOWN)[0]
            raise DataError(
                f"the mask {self.names[index]} has the value {values[row, column]} at row {row}, column {column}, "
                "which neither data.values nor data.void lists; add it to one of them"
            )
        return Mask(labels)


def _values(raw: images.Raw, name: str) -> NDArray[np.uint8]:
    """Return the values of a mask's pixels (height, width); raise DataError for more than one channel or byte."""
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
    return {split: _split(place, chosen, listings, root) for split, place in chosen.splits.items()}


def _split(place: Place, chosen: Options, listings: Mapping[Path, Listing], root: Path) -> Split:
    pictures, masks = listings[root / place.images], listings[root / (place.masks or place.images)]
    have = _below(pictures, place.inside, chosen.image_ending)
    of = _below(masks, place.masks_inside, chosen.mask_ending)
    names = _listed(masks, place.names) if place.names else sorted({*have, *of})
    for name in names:
        for found, what, listing, inside in (
            (have, "image", pictures, place.inside),
            (of, "mask", masks, place.masks_inside),
        ):
            if name not in found:
                raise DataError(
                    f"{listing.path}/{inside} holds no {what} of {name!r}; add it or remove the name where it stands"
                )
    if not names:
        raise DataError(f"{pictures.path}/{place.inside} holds no images")
    source = masks.source([of[name] for name in names])
    called = tuple(f"{masks.path.name}/{of[name]}" for name in names)
    return Split(
        pictures.source([have[name] for name in names]),
        np.arange(len(names)),
        tuple(names),
        np.zeros((len(names), 0), dtype=np.int64),
        truth=Masks(source, called, chosen.meaning, bool(chosen.values)),
    )


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


def _listed(listing: Listing, path: str) -> list[str]:
    """Return the names in a text file, in its order; raise DataError where it is absent, empty or repeats one."""
    if path not in listing.spans:
        raise DataError(f"{listing.path} holds no list {path}; correct the card's data.splits")
    try:
        names = listing.read(path).decode().split()
    except UnicodeDecodeError as error:
        raise DataError(f"{listing.path}/{path} is not UTF-8 text: {error.reason}") from error
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{listing.path}/{path} lists {twice!r} twice; remove one line")
    return names
