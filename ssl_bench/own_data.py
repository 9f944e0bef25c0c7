"""A user's own folder of images as a task card: what its folders say, and a split where they say none.

    my_folder/train/<class>/<image>    with test/, or val/, or both    the folders are the splits
    my_folder/<class>/<image>                                          70 % train, 10 % val and 20 % test of every class

The second is drawn by the md5 of each image's path, so that it is the same on every machine, and stays as it is where
images are added.
"""

from __future__ import annotations

import json
from pathlib import Path

from ssl_bench import tasks
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError
from ssl_bench.tasks import Splits, TaskCard

TRAIN, TEST = ("train", "training"), ("test", "testing")
VAL = ("val", "valid", "validation", "dev")
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
    found = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir() and path.name[0] != "."}
    train, val, test = (next((found[word] for word in words if word in found), None) for words in (TRAIN, VAL, TEST))
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
    return (
        f'title   = {_text(card.title)}\nreader  = "{card.reader}"\nclasses = {card.classes}\nmetric  = "top1"\n\n'
        f"[data]\npath  = {_text(str(card.data['path']))}\n{drawn}\n[splits]\n{roles}\n"
        '[source]\nurl     = ""\nlicence = ""\n'
    )


def _text(value: str) -> str:
    """Return a text as TOML writes it, which is as JSON does."""
    return json.dumps(value, ensure_ascii=False)
