"""PASCAL VOC's annotations: an XML file of the objects in an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from xml.etree import ElementTree

import numpy as np

from ssl_bench.datasets.base import ImageSource
from ssl_bench.errors import DataError
from ssl_bench.targets import Objects

SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclasses.dataclass(frozen=True)
class Element:
    """An object, as its annotation has it."""

    label: str
    difficult: bool
    xml: ElementTree.Element


def elements(content: bytes, where: str) -> list[Element]:
    """Return every object of an annotation; raise DataError naming `where` for what is no XML."""
    return [
        Element((one.findtext("name") or "").strip(), (one.findtext("difficult") or "0").strip() == "1", one)
        for one in _parsed(content, where).iter("object")
    ]


def check_classes(said: Sequence[Element], classes: Sequence[str], where: str) -> None:
    """Raise DataError naming `where` for an object of another class."""
    if unknown := sorted({one.label for one in said} - set(classes)):
        raise DataError(f"{where} shows {unknown[0]!r}, which is not one of data.classes")


@dataclasses.dataclass(frozen=True, eq=False)
class Boxes:
    """The objects of images by position, each annotation parsed when it is read."""

    files: ImageSource
    """The annotations, as bytes."""
    places: tuple[str, ...]
    """Where each lies, for messages."""
    classes: tuple[str, ...]
    least: float
    """Objects of fewer pixels than this in width or height are left out; 0: none is."""

    def __len__(self) -> int:
        return len(self.places)

    def read(self, index: int) -> Objects:
        """Return the objects of image `index`; raise DataError, naming the annotation, for what is none."""
        where, content = self.places[index], bytes(self.files.read(index))
        size = _size(_parsed(content, where), where)
        said = elements(content, where)
        check_classes(said, self.classes, where)
        boxes = np.array([_box(one, where) for one in said], dtype=np.float64).reshape(-1, 4)
        labels = np.array([self.classes.index(one.label) for one in said], dtype=np.int64)
        difficult = np.array([one.difficult for one in said], dtype=np.bool_)
        sides = boxes[:, 2:] - boxes[:, :2]
        kept = (sides >= self.least).all(axis=1) | (self.least == 0)
        areas = sides.prod(axis=1)
        return Objects(
            size, boxes[kept], labels[kept], areas[kept], np.zeros(int(kept.sum()), dtype=np.bool_), difficult[kept]
        )


def _parsed(content: bytes, where: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(content)
    except ElementTree.ParseError as error:
        raise DataError(f"{where} is not whole XML: {error}. Unpack the archive again.") from error


def _size(tree: ElementTree.Element, where: str) -> tuple[int, int]:
    """Return the image's height and width."""
    try:
        height, width = (int(tree.findtext(f"size/{side}") or "") for side in ("height", "width"))
    except ValueError:
        raise DataError(f"{where} does not say the image's size in whole pixels; add <size> to it") from None
    return height, width


def _box(one: Element, where: str) -> list[float]:
    """Return left, top, right and bottom; VOC's pixels count from 1, and the last one is inside."""
    try:
        left, top, right, bottom = (float(one.xml.findtext(f"bndbox/{side}") or "") for side in SIDES)
    except ValueError:
        raise DataError(
            f"{where}: an object {one.label!r} has no bndbox of four numbers; correct or remove it"
        ) from None
    return [left - 1, top - 1, right, bottom]
