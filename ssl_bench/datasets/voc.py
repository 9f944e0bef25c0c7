"""PASCAL VOC's layout: images in JPEGImages, splits and classes in ImageSets/Main, objects in Annotations/<image>.xml.

Any number of classes may hold of an image. A class whose only objects are marked as difficult counts neither way, as in
the challenge's own evaluation of classification (Everingham et al., IJCV 2010). With `labels = "boxes"` there are the
objects themselves: a box from pixel xmin, ymin to xmax, ymax, which count from 1 and are both inside.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench import cards
from ssl_bench.datasets import containers, labels, voc_objects
from ssl_bench.datasets.base import Split
from ssl_bench.datasets.containers import Listing
from ssl_bench.datasets.voc_objects import Boxes, Element
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
    insides: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Split to that folder, where it is another."""
    lists: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Split to its list, where that is called otherwise."""
    labels: Literal["lists", "objects", "boxes"] = "lists"
    """Where labels come from: the lists ImageSets/Main/<class>_<split>.txt; or the objects in Annotations, for a set in
    this layout that has no such lists; "boxes" gives the objects themselves, for tasks of detection."""
    classes: tuple[str, ...] = ()
    """The classes in the order of their labels; empty: all that occur, by name."""
    least: float = 0.0
    """Objects of fewer pixels than this in width or height are left out; 0: those of none are refused."""
    images: str = "JPEGImages"
    """The folder of images."""
    annotations: str = "Annotations"
    """The folder of annotations. A split "all" that has no list is every image that has one, by name."""


@dataclasses.dataclass(frozen=True, eq=False)
class Layout:
    """A folder or archive, and what is asked of it."""

    listing: Listing
    options: Options
    split: str

    @property
    def list(self) -> str:
        """The name of the split's list."""
        return self.options.lists.get(self.split, self.split)

    def name(self, path: str) -> str:
        """Return a path below `inside` as the listing spells it."""
        inside = self.options.insides.get(self.split, self.options.inside).strip("/")
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

    def image(self, name: str) -> str:
        """Return where an image lies, as the listing spells it."""
        return self.name(f"{self.options.images}/{name}.jpg")

    def annotation(self, name: str) -> str:
        """Return where the annotation of an image lies, below `inside`."""
        return f"{self.options.annotations}/{name}.xml"

    def annotated(self) -> list[str]:
        """Return the names of all images that have an annotation; raise DataError where there is none."""
        begin, end = self.name(f"{self.options.annotations}/"), ".xml"
        found = [path[len(begin) : -len(end)] for path in self.listing.spans if path.startswith(begin)]
        names = sorted(name for name in found if self.has(self.annotation(name)))
        if absent := [name for name in names if self.image(name) not in self.listing.spans]:
            raise DataError(
                f"{self.where(self.annotation(absent[0]))} has no image {self.options.images}/{absent[0]}.jpg"
            )
        if not names:
            raise DataError(f"{self.where(self.options.annotations)} holds no annotations")
        return names

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
    layouts = {split: Layout(listings[path], chosen, split) for split, path in chosen.splits.items()}
    names = {split: _names(layout) for split, layout in layouts.items()}
    found, classes = FROM[chosen.labels](layouts, names)
    splits = {}
    for split, layout in layouts.items():
        source = layout.listing.source([layout.image(name) for name in names[split]])
        truth = _boxes(layout, names[split], classes) if chosen.labels == "boxes" else None
        splits[split] = Split(source, np.arange(len(source)), tuple(names[split]), found[split], classes, truth)
    return splits


def _names(layout: Layout) -> list[str]:
    """Return the names that a split lists."""
    path = f"ImageSets/Main/{layout.list}.txt"
    if layout.list == "all" and not layout.has(path):
        return layout.annotated()
    names = [line.split()[0] for line in layout.lines(path)]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise DataError(f"{layout.where(path)} lists {name!r} twice; remove one line")
        if layout.image(name) not in layout.listing.spans:
            raise DataError(
                f"{layout.where(path)} lists {name!r}, but there is no {layout.options.images}/{name}.jpg; "
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
        own = layout.options.classes or _listed_classes(layout)
        classes = classes or own
        if odd := sorted(set(own) ^ set(classes)):
            raise DataError(
                f"{layout.where('ImageSets/Main')} has lists of {odd[0]!r} for some splits only; add them all"
            )
        columns = [_column(layout, f"ImageSets/Main/{name}_{layout.list}.txt", names[split]) for name in classes]
        found[split] = np.stack(columns, axis=1)
    return found, classes


def _listed_classes(layout: Layout) -> tuple[str, ...]:
    begin, end = layout.name("ImageSets/Main/"), f"_{layout.list}.txt"
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
    objects = {split: [_elements(layout, name) for name in names[split]] for split, layout in layouts.items()}
    classes = next(iter(layouts.values())).options.classes or _all_classes(objects)
    found = {}
    for split, layout in layouts.items():
        held = objects[split]
        for name, image in zip(names[split], held, strict=True):
            voc_objects.check_classes(image, classes, layout.where(layout.annotation(name)))
        clear = labels.several([[one.label for one in image if not one.difficult] for image in held], classes)
        hard = labels.several([[one.label for one in image if one.difficult] for image in held], classes)
        found[split] = np.where(clear[0] == 1, 1, -hard[0])
    return found, classes


def _from_boxes(layouts: Mapping[str, Layout], names: Mapping[str, list[str]]) -> Found:
    """Return no labels, and the classes; annotations are read later, one by one, where the card names the classes."""
    classes = next(iter(layouts.values())).options.classes
    if not classes:
        every = {split: [_elements(layout, name) for name in names[split]] for split, layout in layouts.items()}
        classes = _all_classes(every)
    return {split: np.zeros((len(own), 0), dtype=np.int64) for split, own in names.items()}, classes


def _boxes(layout: Layout, names: list[str], classes: tuple[str, ...]) -> Boxes:
    paths = [layout.annotation(name) for name in names]
    for path in paths:
        if not layout.has(path):
            raise DataError(f"there is no annotation {layout.where(path)}; unpack the archive again")
    files = layout.listing.source([layout.name(path) for path in paths])
    return Boxes(files, tuple(map(layout.where, paths)), classes, layout.options.least)


FROM = {"lists": _from_lists, "objects": _from_objects, "boxes": _from_boxes}


def _all_classes(objects: Mapping[str, list[list[Element]]]) -> tuple[str, ...]:
    return tuple(sorted({one.label for own in objects.values() for image in own for one in image}))


def _elements(layout: Layout, name: str) -> list[Element]:
    """Return what is said of every object in an image."""
    path = layout.annotation(name)
    if not layout.has(path):
        raise DataError(f"there is no annotation {layout.where(path)}; unpack the archive again")
    return voc_objects.elements(layout.listing.read(layout.name(path)), layout.where(path))
