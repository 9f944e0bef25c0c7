"""Model cards: `model_zoo/<name>.toml`, or written in the command line as `adapter:name,key=value`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench import cards
from ssl_bench.cards import Shelves
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.files import digest_json
from ssl_bench.images import InputCard

ROOM = "model_zoo"
ADAPTERS = (
    "checkpoint",
    "embeddings",
    "huggingface",
    "majority",
    "module",
    "onnx",
    "open_clip",
    "pixels",
    "random",
    "timm",
    "torchhub",
    "torchvision",
)
SHORT = {"ckpt": "checkpoint", "hf": "huggingface"}
"""Short names of adapters in the command line."""
FILES = ("checkpoint", "embeddings", "onnx")
"""Adapters whose name in the command line is a file."""


@dataclasses.dataclass(frozen=True)
class Weights:
    """Which numbers fill the network, and where they are."""

    name: str = ""
    """The adapter's own name for network and weights, such as timm's "vit_base_patch14_dinov2.lvd142m"."""
    hub: str = ""
    """Hugging Face repository that holds the weights."""
    file: str = ""
    """File inside `hub`; or a local file: absolute, or relative to the card or to the weights folder."""
    url: str = ""
    """Where `file` can be downloaded."""
    sha256: str = ""
    """Digest of the file, so that a moved tag cannot move a number."""
    bytes: int = 0
    """Size of the file, for the plan."""
    family: str = ""
    """For the adapter `checkpoint`: the rule file in `ssl_bench/checkpoints/families/` that reads the file."""
    container: str = ""
    """The branch of the file that is taken, such as "model_ema"; empty where there is but one."""
    prefix: str = ""
    """Only keys that begin with it are taken, without it, such as "encoder_q."; for `timm` and `checkpoint`."""
    drop: tuple[str, ...] = ()
    """Beginnings of key names that are not the backbone, such as "decoder"; for the adapter `timm`."""


@dataclasses.dataclass(frozen=True)
class About:
    """For readers; changes no number and enters no digest."""

    paper: str = ""
    code: str = ""
    data: str = ""
    """What it was pretrained on, and with which labels."""
    labels_used: bool | None = None
    licence: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Published:
    """A number to be re-obtained."""

    value: float
    """As a fraction, in the metric of the task."""
    source: str


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """One backbone: an adapter, weights and an input."""

    name: str
    adapter: str
    """A module of `ssl_bench/backbones/`, or "your_package.module:Class"."""
    title: str = ""
    pooled: str = ""
    """The documented global feature; empty means the adapter's own default."""
    weights: Weights = Weights()
    arch: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments that the adapter gives to the network's constructor, as they are."""
    input: InputCard = InputCard()
    about: About = About()
    published: Mapping[str, Published] = dataclasses.field(default_factory=dict)
    """"task/protocol" to a published number."""
    folder: str = ""
    """Folder of the card's file, which relative weight files start from; empty for a card from the command line."""

    @property
    def digest(self) -> str:
        """sha256 over what can change a number: all but name, texts and place."""
        parts = ("adapter", "pooled", "weights", "arch", "input")
        return digest_json({part: cards.plain(getattr(self, part)) for part in parts})


ROOMS: Mapping[str, Any] = {"weights": Weights, "input": InputCard}


def get(text: str, shelves: Shelves | None = None) -> ModelCard:
    """Return the card for a name or a path to a card, or for "adapter:name"; ",key=value,…" overrides what it says.

    Raises UsageError that names the nearest known models.
    """
    head, options = cards.parse_reference(text)
    adapter, colon, name = head.partition(":")
    adapter = SHORT.get(adapter, adapter)
    if colon and adapter in ADAPTERS:
        table = {"adapter": adapter, "weights": {"file" if adapter in FILES else "name": name}}
        return cards.from_table(ModelCard, _with_options(table, options, text), repr(text), name=text)
    if colon:
        raise UsageError(
            f"no adapter is called {adapter!r}.{did_you_mean(adapter, ADAPTERS)} Known: {', '.join(ADAPTERS)}"
        )
    return read((shelves or Shelves()).find(ROOM, "model", head), options, text.removeprefix(head))


def read(path: Path, options: Mapping[str, str] | None = None, suffix: str = "") -> ModelCard:
    """Return the card in a file, with `options` over what it says and `suffix`, their words, behind its name."""
    name = f"{path.stem}{suffix}"
    table, where = _with_options(cards.read_toml(path), options or {}, name), repr(name) if options else str(path)
    card = cards.from_table(ModelCard, table, where, name=name, folder=str(path.parent))
    if ":" not in card.adapter and card.adapter not in ADAPTERS:
        raise UsageError(f"{path}: no adapter is called {card.adapter!r}.{did_you_mean(card.adapter, ADAPTERS)}")
    return card


def _with_options(table: dict[str, Any], options: Mapping[str, str], where: str) -> dict[str, Any]:
    """Write "key=value" options into a card's table; a key of neither the card, weights nor input goes to `arch`."""
    for key, word in options.items():
        if key in ("pooled", "title"):
            table[key] = word
            continue
        room = next((room for room, kind in ROOMS.items() if key in kind.__dataclass_fields__), "arch")
        text_only = room == "weights" and Weights.__dataclass_fields__[key].type == "str"
        table.setdefault(room, {})[key] = cards.parse_word(str if text_only else Any, word, where)
    return table


def names(shelves: Shelves | None = None) -> dict[str, Path]:
    """Return every model card's name and file."""
    return (shelves or Shelves()).names(ROOM)


@dataclasses.dataclass(frozen=True)
class WeightsState:
    """Whether a card's weights are on this machine, found without importing any network library."""

    path: Path | None
    """The local file, if there is one."""
    needed: bool
    """False for models that need no file (controls, untrained networks, networks given in Python)."""
    source: str = ""
    """Where the file can be had."""
    bytes: int = 0

    @property
    def missing(self) -> bool:
        return self.needed and self.path is None


def weights_state(card: ModelCard, folders: Sequence[Path] = ()) -> WeightsState:
    """Find a card's weights: its local file, the given folders, or the Hugging Face cache.

    In a folder a file may lie by its own name, as `<card>.safetensors` or `.pth`, or as `<hub>/<file>`.
    """
    weights = card.weights
    if card.adapter in ("majority", "pixels", "random", "module", "torchhub"):
        return WeightsState(None, needed=False)
    if card.adapter == "huggingface":
        source = "a local folder" if is_folder_name(weights.name) else f"https://huggingface.co/{weights.name}"
        return WeightsState(_local_snapshot(card, folders), needed=True, source=source, bytes=weights.bytes)
    if not (weights.file or weights.hub or weights.url):
        return WeightsState(None, needed=False)
    source = weights.url or (f"https://huggingface.co/{weights.hub}" if weights.hub else weights.file)
    return WeightsState(_local_weights(card, folders), needed=True, source=source, bytes=weights.bytes)


def is_folder_name(name: str) -> bool:
    """True for a name that can only be a folder of this machine, not a repository ORG/NAME."""
    return name.startswith(("/", ".", "~")) or name.count("/") != 1


def _local_snapshot(card: ModelCard, folders: Sequence[Path]) -> Path | None:
    """Return the safetensors file, or the index of several, of a repository or folder that `weights.name` names.

    In the weights folder it lies as ORG/NAME@REVISION, in the Hugging Face cache under its revision.
    """
    repository, _, revision = card.weights.name.partition("@")
    cache = hub_cache() / f"models--{repository.replace('/', '--')}"
    reference = cache / "refs" / (revision or "main")
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision
    places = [Path(card.folder) / Path(card.weights.name).expanduser()]
    places += [folder / card.weights.name for folder in folders]
    places += [cache / "snapshots" / commit] if commit else []
    files = [place / name for place in places for name in ("model.safetensors", "model.safetensors.index.json")]
    return next((path for path in files if path.is_file()), None)


def _local_weights(card: ModelCard, folders: Sequence[Path]) -> Path | None:
    weights = card.weights
    file_name = weights.file or (Path(weights.url).name if weights.url else "model.safetensors")
    places = [
        f"{weights.hub}/{file_name}" if weights.hub else file_name,
        f"{card.name}.safetensors",
        f"{card.name}.pth",
    ]
    candidates = [] if weights.hub else [Path(card.folder) / file_name]
    candidates += [folder / place for folder in folders for place in places]
    if weights.hub:
        snapshots = hub_cache() / f"models--{weights.hub.replace('/', '--')}" / "snapshots"
        candidates += sorted(snapshots.glob(f"*/{file_name}"))
    return next((path for path in candidates if path.is_file()), None)


def hub_cache() -> Path:
    """Return the folder where the Hugging Face client keeps what it downloads, by its own environment variables."""
    home = Path(
        os.environ.get("HF_HOME", Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "huggingface")
    )
    return Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
