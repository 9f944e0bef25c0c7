"""PASCAL VOC's layout: images in JPEGImages, splits and classes in ImageSets/Main, objects in Annotations/<image>.xml.

Any number of classes may hold of an image. A class whose only objects are marked as difficult counts neither way, as in
the challenge's own evaluation of classification (Everingham et al., IJCV 2010).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.errors import DataError

MEANING = {"1": 1, "-1": 0, "0": -1}
"""What a class's list says of an image: it shows the class, does not, or shows it in difficult objects alone."""


@dataclasses.dataclass(frozen=True)
class Options:
    """The card's `[data]`."""

    splits: Mapping[str, str]
    """Split to the folder or archive that holds it, relative to the data folder. A split is called after its list in
    ImageSets/Main: "train", "val", "trainval", "test"."""
    inside: str = ""
    """Folder within it that holds JPEGImages, such as "VOCdevkit/VOC2007"."""
    labels: Literal["lists", "objects"] = "lists"
    """Where labels come from: the lists ImageSets/Main/<class>_<split>.txt, or the objects in Annotations, for a set in
    this layout that has no such lists."""
    classes: tuple[str, ...] = ()
    """The classes in the order of their labels; empty: all that occur, by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """A folder or archive, and what is asked of it."""

    listing: Listing
    options: Options

    def name(self, path: str) -> str:
        """Return a path below `inside` as the listing spells it."""
        inside = self.options.inside.strip("/")
        return f"{inside}/{path}" if inside else path

    def lines(self, path: str) -> list[str]:
        """Return the lines of a list that say something; raise DataError where there is none."""
        try:
            lines = [line.strip() for line in self.listing.read(self.name(path)).decode().splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise DataError(f"{self.where(path)} is not UTF-8 text: {error.reason}") from error
        if not lines:
            raise DataError(f"{self.where(path)} lists no images")
        return lines

    def where(self, path: str) -> str:
        """Return a path below `inside` as a message names it."""
        return f"{self.listing.path}/{self.name(path)}"

    def has(self, path: str) -> bool:
        """Tell whether there is a file at a path below `inside`."""
        return self.name(path) in self.listing.spans


def locate(options: Mapping[str, Any], root: Path) -> list[Path]:
    """Return the archives, or every file of the folders; raise MissingError that names all absent."""
    return containers.files_of_all(*_places(cards.from_table(Options, options, "data"), root))


def _places(chosen: Options, root: Path) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(root / path for path in chosen.splits.values()))


def load(options: Mapping[str, Any], root: Path) -> dict[str, Split]:
    """Return the splits in the order of their lists; an id is the image's name, such as "000005".

    Labels are (samples, classes): 1 shows the class, 0 does not, -1 in difficult objects alone. Raises DataError for a
    list that names an absent image or one twice, lists that disagree, and annotations that are absent or damaged.
    """
    chosen = cards.from_table(Options, options, "data")
    containers.require(*_places(chosen, root))
    listings = {path: containers.listing(root / path) for path in dict.fromkeys(chosen.splits.values())}
    layouts = {split: Layout(listings[path], chosen) for split, path in chosen.splits.items()}
    names = {split: _names(layout, split) for split, layout in layouts.items()}
    found, classes = (_from_lists if chosen.labels == "lists" else _from_objects)(layouts, names)
    splits = {}
    for split, layout in layouts.items():
        source = layout.listing.source([layout.name(f"JPEGImages/{name}.jpg") for name in names[split]])
        splits[split] = Split(source, np.arange(len(source)), tuple(names[split]), found[split], classes)
    return splits


def _names(layout: Layout, split: str) -> list[str]:
    """Return the names that a split lists."""
    path = f"ImageSets/Main/{split}.txt"
    names = [line.split()[0] for line in layout.lines(path)]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{layout.where(path)} lists {name!r} twice; remove one line")
        if not layout.has(f"JPEGImages/{name}.jpg"):
            raise DataError(
                f"{layout.where(path)} lists {name!r}, but there is no JPEGImages/{name}.jpg; "
                "unpack the archive again or remove the line"
            )
        seen.add(name)
    return names


Found = tuple[dict[str, NDArray[np.int64]], tuple[str, ...]]
"""Labels (samples, classes) per split, and the classes."""


def _from_lists(layouts: Mapping[str, Layout], names: Mapping[str, list[str]]) -> Found:
    found: dict[str, NDArray[np.int64]] = {}
    classes: tuple[str, ...] = ()
    for split, layout in layouts.items():
        own = layout.options.classes or _listed_classes(layout, split)
        classes = classes or own
        if odd := sorted(set(own) ^ set(classes)):
            raise DataError(
                f"{layout.where('ImageSets/Main')} has lists of {odd[0]!r} for some splits only; add them all"
            )
        columns = [_column(layout, f"ImageSets/Main/{name}_{split}.txt", names[split]) for name in classes]
        found[split] = np.stack(columns, axis=1)
    return found, classes


def _listed_classes(layout: Layout, split: str) -> tuple[str, ...]:
    begin, end = layout.name("ImageSets/Main/"), f"_{split}.txt"
    names = sorted(
        path.removeprefix(begin).removesuffix(end)
        for path in layout.listing.spans
        if path.startswith(begin) and path.endswith(end)
    )
    if not names:
        raise DataError(
            f"{layout.where('ImageSets/Main')} holds no lists <class>{end}; "
            'data.labels = "objects" reads the labels from Annotations'
        )
    return tuple(names)


def _column(layout: Layout, path: str, names: list[str]) -> NDArray[np.int64]:
    """Return what a class's list says of the images called `names`; it may name them in another order."""
    if not layout.has(path):
        raise DataError(f"there is no list {layout.where(path)}; unpack the archive again or correct data.classes")
    said = {}
    for line in layout.lines(path):
        name, _, word = line.partition(" ")
        if word.strip() not in MEANING:
            raise DataError(f"{layout.where(path)}: the line {line!r} is not an image and 1, 0 or -1")
        said[name] = MEANING[word.strip()]
    odd = sorted(set(names) ^ set(said))
    if odd:
        which = "does not name" if odd[0] in names else "names, beyond its split,"
        raise DataError(f"{layout.where(path)} {which} {odd[0]!r}; unpack the archive again")
    return np.array([said[name] for name in names], dtype=np.int64)


def _from_objects(layouts: Mapping[str, Layout], names: Mapping[str, list[str]]) -> Found:
    objects = {
        split: [_objects(layout, f"Annotations/{name}.xml") for name in names[split]]
        for split, layout in layouts.items()
    }
    found, classes = {}, next(iter(layouts.values())).options.classes
    classes = classes or tuple(sorted({name for own in objects.values() for image in own for name, _ in image}))
    for split, layout in layouts.items():
        for name, image in zip(names[split], objects[split], strict=True):
            if unknown := sorted({one for one, _ in image} - set(classes)):
                place = layout.where(f"Annotations/{name}.xml")
                raise DataError(f"{place} shows {unknown[0]!r}, which is not one of data.classes")
        clear = labels.several(
            [[one for one, difficult in image if not difficult] for image in objects[split]], classes
        )
        hard = labels.several([[one for one, difficult in image if difficult] for image in objects[split]], classes)
        found[split] = np.where(clear[0] == 1, 1, -hard[0])
    return found, classes


def _objects(layout: Layout, path: str) -> list[tuple[str, bool]]:
    """Return the class of every object in an image, and whether it is marked as difficult."""
    if not layout.has(path):
        raise DataError(f"there is no annotation {layout.where(path)}; unpack the archive again")
    try:
        tree = ElementTree.fromstring(layout.listing.read(layout.name(path)))
        return [
            (str(one.findtext("name", "")).strip(), one.findtext("difficult", "0").strip() == "1")
            for one in tree.iter("object")
        ]
    except ElementTree.ParseError as error:
        raise DataError(f"{layout.where(path)} is not whole XML: {error}. Unpack the archive again.") from error
