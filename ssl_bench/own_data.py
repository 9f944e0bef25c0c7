"""A user's own folder of images as a task card: what its folders say, and a split where they say none.

    my_folder/train/<class>/<image>    with test/, or val/, or both    the folders are the splits
    my_folder/<class>/<image>                                          70 % train, 10 % val and 20 % test of every class
    my_folder/train/images/, masks/    with test/, or val/, or both    segmentation: images and masks of the same names
    my_folder/images/train/, masks/train/                              the same, split below
    my_folder/images/, masks/                                          the same, 70 % train, 10 % val and 20 % test

A draw is by the md5 of each image's path, so that it is the same on every machine, and stays as it is where images are
added. Masks need a file `classes.txt` beside the folders: a name a line, the first of the pixels that are 0.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from ssl_bench import tasks
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError
from ssl_bench.tasks import Splits, TaskCard

TRAIN, TEST = ("train", "training"), ("test", "testing")
VAL = ("val", "valid", "validation", "dev")
ROLES = {"train": TRAIN, "val": VAL, "test": TEST}
IMAGES = ("images", "image", "imgs", "img", "jpegimages")
MASKS = ("masks", "mask", "labels", "annotations", "segmentationclass")
CLASSES = "classes.txt"
"""The classes of masks, a name a line."""
DRAWN = {"train": 0.7, "val": 0.1, "test": 0.2}


def get(name: str, shelves: Shelves | None = None) -> TaskCard:
    """Return the task that a user's word names: a folder of images, or what `tasks.get` takes.

    Raises UsageError as `card` and `tasks.get` do, and for a path at which nothing is.
    """
    if is_folder(name):
        return card(Path(name))
    if "/" in name and not Path(name).expanduser().exists():
        raise UsageError(f"neither a folder of images nor a task card is at {name}; check the path")
    return tasks.get(name, shelves)


def is_folder(name: str) -> bool:
    """True for a word that names a folder, not a card: it holds a slash or is "." and there is such a folder."""
    return (name in (".", "..") or "/" in name) and Path(name).expanduser().is_dir()


def card(folder: Path) -> TaskCard:
    """Return the card for a folder of images; raise UsageError that says how it must look where it does not."""
    folder = folder.expanduser().resolve()
    found = _folders(folder)
    train, val, test = (_first(found, words) for words in (TRAIN, VAL, TEST))
    if _first(found, IMAGES) or (train and _first(_folders(train), IMAGES)):
        return _of_masks(folder, found, {"train": train, "val": val, "test": test})
    if train is None:
        if val or test or len(found) < 2:
            raise UsageError(
                f"{folder} holds neither train/<class>/ and test/<class>/ folders nor two <class>/ folders of images"
            )
        return _card(folder, len(found), {"path": str(folder), "parts": DRAWN}, Splits("train", "val", "test"))
    if test is None and val is None:
        raise UsageError(f"{folder} holds {train.name}/ but no test/ beside it; name the other part test/ or val/")
    roles = Splits(train.name, val.name if val and test else "", (test or val or train).name)
    classes = {path.name for part in (train, val, test) if part for path in part.iterdir() if path.is_dir()}
    return _card(folder, len(classes), {"path": str(folder)}, roles)


def _folders(folder: Path) -> dict[str, Path]:
    """Return the folders in a folder by their names in small letters; hidden ones are left out."""
    return {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}


def _first(found: Mapping[str, Path], words: tuple[str, ...]) -> Path | None:
    return next((found[word] for word in words if word in found), None)


def _of_masks(folder: Path, found: Mapping[str, Path], own: Mapping[str, Path | None]) -> TaskCard:
    """Return the card for images and masks; raise UsageError where masks or the names of classes are not there."""
    images, masks = _first(found, IMAGES), _first(found, MASKS)
    if images and masks:
        parts = {role: _first(_folders(images), words) for role, words in ROLES.items()}
        pairs = {role: (part, masks / part.name) for role, part in parts.items() if part} or {"all": (images, masks)}
    else:
        below = {role: _folders(part) for role, part in own.items() if part}
        within = {role: (_first(part, IMAGES), _first(part, MASKS)) for role, part in below.items()}
        pairs = {role: (one, other) for role, (one, other) in within.items() if one and other}
    if not pairs or (images and not masks) or ("all" not in pairs and not {"train"} < pairs.keys()):
        raise UsageError(
            f"{folder} has folders of images, but not masks/ beside each, in train/ and in test/ or val/; "
            "or else images/ and masks/ alone"
        )
    if not (folder / CLASSES).is_file():
        raise UsageError(f"write the classes of the masks into {folder / CLASSES}: a name a line, that of 0 first")
    names = tuple(filter(None, map(str.strip, (folder / CLASSES).read_text(encoding="utf-8").splitlines())))
    places = {role: _place(folder, *pair) for role, pair in pairs.items()}
    if "all" in pairs:
        drawn, roles = {"parts": DRAWN}, Splits("train", "val", "test")
    else:
        test = "test" if "test" in pairs else "val"
        drawn, roles = {}, Splits("train", "val" if {"val", "test"} <= pairs.keys() else "", test)
    card = _card(folder, len(names), {"splits": places, **drawn}, roles)
    return dataclasses.replace(card, reader="masks", kind="segmentation", metric="miou", class_names=names)


def _place(folder: Path, images: Path, masks: Path) -> dict[str, str]:
    """Return where a split of images and masks lies, as the reader `masks` takes it."""
    inside = {"inside": images.relative_to(folder).as_posix(), "masks_inside": masks.relative_to(folder).as_posix()}
    return {"images": str(folder), **inside, "mask_ending": ""}


def _card(folder: Path, classes: int, data: dict[str, object], splits: Splits) -> TaskCard:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in folder.name) or "folder"
    return TaskCard(name, f"images of {folder.name}", "image_folder", classes, data=data, splits=splits)


def toml(card: TaskCard) -> str:
    """Return a card of this module as the text of a card's file."""
    parts = card.data.get("parts")
    drawn = f"parts = {{ {', '.join(f'{name} = {share}' for name, share in parts.items())} }}\n" if parts else ""
    roles = "".join(
        f"{role:<5} = {_text(word)}\n" for role in ("train", "val", "test") if (word := getattr(card.splits, role))
    )
    head = f'title   = {_text(card.title)}\nreader  = "{card.reader}"\nclasses = {card.classes}\n'
    head += f'metric  = "{card.metric}"\n'
    if card.reader == "masks":
        head += f'kind    = "{card.kind}"\nclass_names = [{", ".join(map(_text, card.class_names))}]\n'
        data = drawn + "".join(
            f"\n[data.splits.{split}]\n" + "".join(f"{key} = {_text(value)}\n" for key, value in place.items())
            for split, place in card.data["splits"].items()
        )
    else:
        data = f"path  = {_text(str(card.data['path']))}\n{drawn}"
    return f'{head}\n[data]\n{data}\n[splits]\n{roles}\n[source]\nurl     = ""\nlicence = ""\n'


def _text(value: str) -> str:
    """Return a text as TOML writes it, which is as JSON does."""
    return json.dumps(value, ensure_ascii=False)
