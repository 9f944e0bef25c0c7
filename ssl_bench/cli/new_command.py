"""`ssl-bench new`: a working card or file to start from."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ssl_bench.cards import Shelves, builtin_folder
from ssl_bench.errors import UsageError
from ssl_bench.files import write_text

MODEL = """title   = "{name}"
adapter = "timm"                 # ssl_bench/backbones/timm.py; others: ssl-bench show, or "your_package.module:Class"
# pooled = "cls"                 # the documented global feature; left out, the network's own

[weights]
name = "resnet18.a1_in1k"        # timm's name of network and weights
hub  = "timm/resnet18.a1_in1k"   # where `ssl-bench fetch` gets them
# sha256 = "..."                 # pin the file, so that a moved tag cannot move a number

# [input]                        # only what differs from the library's own
# size = 224
# interpolation = "bicubic"

[about]
paper   = ""
data    = ""
licence = ""
"""

TASK = """title   = "{name}"
reader  = "image_folder"         # ssl_bench/datasets/image_folder.py
classes = {classes}
metric  = "top1"

[data]
path = "{path}"                  # holds <split>/<class>/<image>; absolute, or relative to the data folder

[splits]
train = "train"
{val}test  = "{test}"

[source]
url     = ""
licence = ""
# samples = {{ train = 1000, test = 200 }}    # what `ssl-bench data check` compares with
# manual  = "..."                # what a person must do, where it cannot be downloaded

# [[source.files]]               # what `ssl-bench data fetch` downloads, verifies and unpacks; as often as needed
# path   = "flowers"             # what it becomes in the data folder
# urls   = ["https://..."]
# sha256 = "..."                 # or md5
# unpack = "."                   # all of the archive, or a folder in it; left out, the file is kept as it is
"""

PROTOCOL = '''"""Nearest class mean: the class whose mean feature is nearest by cosine (replace this sentence)."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from ssl_bench.protocols import base
from ssl_bench.protocols.base import Answer, Trial, top_classes


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """The recipe: every field is written into the record."""

    normalise: bool = True
    """Scale features and means to length one."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = True

    def predict(self, trial: Trial) -> Answer:
        """Average the features of each class of train, then score every test image against the means."""
        train, test, labels = trial.features("train"), trial.features("test"), trial.labels["train"]
        means = np.stack([self._scaled(train)[labels == c].sum(axis=0) for c in range(trial.classes)])
        return Answer(top_classes(self._scaled(test) @ self._scaled(means).T))

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.maximum(length, 1e-12) if self.normalise else rows
'''


ENTRY = """name         = "{name}"   # the model, as its records name it
organisation = ""
contact      = ""                # an address that is read
licence      = ""                # of the weights
weights      = ""                # https://... of a .safetensors file, or "private"
sha256       = "{sha256}"                # of that file: ssl-bench model digest
data         = []                # every dataset that the weights have seen, in any stage; "unknown" is an answer
labels_used  = false
division     = "closed"          # "open": own recipes, several passes per image, or embeddings alone
# code  = ""                     # where the training code can be read
# paper = ""
# note  = ""

# [contamination]                # tasks whose images the weights have seen: what of them
# cifar10 = "train images, without labels"
"""


@click.command(name="new")
@click.argument("kind", type=click.Choice(["model", "task", "protocol", "entry"]))
@click.argument("name")
@click.option("--images", type=click.Path(path_type=Path), help="For a task: a folder of <split>/<class>/<image>.")
@click.option("--shelf", type=click.Path(path_type=Path), default=Path(), help="Where to write; default: here.")
def command(kind: str, name: str, images: Path | None, shelf: Path) -> None:
    """Write a working card (or, for a protocol, a module) called NAME, to be edited.

    An entry is the card of a model that is submitted to the board; a model of a card has its file's digest filled in.

    \b
    Examples:
      ssl-bench new model my_resnet                        writes ./model_zoo/my_resnet.toml
      ssl-bench new task flowers --images ./flowers        writes ./tasks/flowers.toml
      ssl-bench run -m my_resnet -t flowers --shelf .
      ssl-bench new protocol nearest_mean                  writes the module beside the other protocols
      ssl-bench new entry my_resnet                        writes ./leaderboard/entries/my_resnet.toml
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"the name {name!r} is not lower-case letters, digits and underscores")
    if kind == "model":
        path, text = shelf / "model_zoo" / f"{name}.toml", MODEL.format(name=name)
    elif kind == "task":
        path, text = shelf / "tasks" / f"{name}.toml", _task(name, images)
    elif kind == "entry":
        path, text = shelf / "leaderboard" / "entries" / f"{name}.toml", _entry(name, shelf)
    else:
        path, text = Path(__file__).parent.parent / "protocols" / f"{name}.py", PROTOCOL
    if path.exists():
        raise UsageError(f"{path} exists already; choose another name or remove it")
    write_text(path, text)
    click.echo(path)


def _entry(name: str, shelf: Path) -> str:
    """Return a card to fill in, with the digest of the weights' file where the model's card pins it."""
    from ssl_bench import model_zoo

    own = shelf / model_zoo.ROOM
    shelves = Shelves((shelf,) if own.is_dir() and own.resolve() != builtin_folder(model_zoo.ROOM).resolve() else ())
    known = model_zoo.names(shelves)
    return ENTRY.format(name=name, sha256=model_zoo.get(name, shelves).weights.sha256 if name in known else "")


def _task(name: str, images: Path | None) -> str:
    """Return a card for the folder `images`: its splits and the number of its classes are read from it."""
    if images is None:
        return TASK.format(name=name, classes=2, path="", val="", test="test")
    splits = sorted(place.name for place in images.iterdir() if place.is_dir()) if images.is_dir() else []
    if "train" not in splits or not {"test", "val"} & set(splits):
        raise UsageError(f"{images} must hold the folders train and test (and, if there is one, val), not {splits}")
    classes = {place.name for split in splits for place in (images / split).iterdir() if place.is_dir()}
    has_val = "val" in splits and "test" in splits
    return TASK.format(
        name=name,
        classes=len(classes),
        path=images.resolve(),
        val='val   = "val"\n' if has_val else "",
        test="test" if "test" in splits else "val",
    )
