"""Settings: flag > environment `SSL_BENCH_*` > `./ssl-bench.toml` > the user's file > default."""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from ssl_bench import cards
from ssl_bench.errors import UsageError, did_you_mean

PROJECT_FILE = "ssl-bench.toml"
OTHER_TABLES = frozenset({"compare", "executor"})
"""Tables of a settings file that are read where they are used: `compare` by `ssl_bench.comparison.margins`, `executor`
by `ssl_bench.executors`."""


def _home(variable: str, fallback: str) -> Path:
    return Path(os.environ.get(variable) or Path.home() / fallback) / "ssl-bench"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where things lie and how work is done. None of these changes a number."""

    data: Path = dataclasses.field(default_factory=lambda: _home("XDG_CACHE_HOME", ".cache") / "data")
    """Folder that the paths of task cards start from."""
    weights: Path = dataclasses.field(default_factory=lambda: _home("XDG_CACHE_HOME", ".cache") / "weights")
    """Folder where weight files are looked for and fetched to; the data folder is looked through as well."""
    cache: Path = dataclasses.field(default_factory=lambda: _home("XDG_CACHE_HOME", ".cache"))
    """Folder of features and indexes; may be deleted at any time."""
    shared_cache: Path | str = ""
    """Folder, or s3://bucket/prefix, through which machines share features beside the cache folder that each has."""
    results: Path | str = Path("results")
    """Folder that records are written to, or s3://bucket/prefix."""
    shelf: tuple[Path, ...] = ()
    """Folders with further cards."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 0
    """Images per forward pass; 0 chooses by the device. Either way, fewer pass at once where memory runs out."""
    workers: int = -1
    """Decoding threads, or processes beside a GPU; 0: none, one image after the other; -1 chooses."""
    compile: bool = False
    """Compile the network: pays for itself after some thousands of images."""
    offline: bool = False
    """Never open a network connection."""
    mirror: str = ""
    """Folder, or address of one, that is asked first for files that cards give an address of: by a file's name, or by
    host and path as `wget -x` lays them out."""
    progress: Literal["auto", "rich", "plain", "none"] = "auto"
    """Progress bars on a terminal, plain lines elsewhere, or nothing."""

    @property
    def shelves(self) -> cards.Shelves:
        return cards.Shelves(self.shelf)

    @property
    def weight_folders(self) -> tuple[Path, ...]:
        return self.weights, self.data


@dataclasses.dataclass(frozen=True)
class Resolved:
    """Settings, and where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


def own_tables(name: str) -> list[tuple[Mapping[str, Any], str]]:
    """Return the tables of a name in the user's and the project's file, in this order, each with its place."""
    found = []
    for path in (user_file(), Path(PROJECT_FILE)):
        if path.is_file() and name in (whole := cards.read_toml(path)):
            if not isinstance(whole[name], Mapping):
                raise UsageError(f"{path}: {name} must be a table, [{name}]")
            found.append((whole[name], f"{path}: {name}"))
    return found


def user_file() -> Path:
    """Return the user's own settings file."""
    return _home("XDG_CONFIG_HOME", ".config") / PROJECT_FILE


def resolve(flags: Mapping[str, Any] | None = None) -> Resolved:
    """Return the settings with the origin of each; `flags` that are None or empty were not given.

    Raises UsageError for an unknown key or a wrong value, naming the file or variable.
    """
    hints = typing.get_type_hints(Settings)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(hints, "default")
    for path in (user_file(), Path(PROJECT_FILE)):
        if path.is_file():
            table = {key: value for key, value in cards.read_toml(path).items() if key not in OTHER_TABLES}
            for key, value in _known(table, hints, str(path)).items():
                values[key], origins[key] = _convert(hints[key], value, f"{path}: {key}", path.parent), str(path)
    for key, hint in hints.items():
        text = os.environ.get(f"SSL_BENCH_{key.upper()}")
        if text:
            values[key], origins[key] = _from_text(hint, text, f"SSL_BENCH_{key.upper()}"), f"SSL_BENCH_{key.upper()}"
    for key, value in _known(flags or {}, hints, "flags").items():
        if value is not None and value != ():
            values[key], origins[key] = _convert(hints[key], value, key, Path()), f"--{key.replace('_', '-')}"
    return Resolved(Settings(**values), origins)


def _known(table: Mapping[str, Any], hints: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    for key in table:
        if key not in hints:
            raise UsageError(f"{where}: unknown setting {key!r}.{did_you_mean(key, hints)} Known: {', '.join(hints)}")
    return table


def _from_text(hint: Any, text: str, where: str) -> Any:
    if hint == tuple[Path, ...]:
        return tuple(Path(part).expanduser() for part in text.split(os.pathsep) if part)
    if hint == Path | str:
        return text if "://" in text else Path(text).expanduser()
    if hint is bool:
        words = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in words:
            raise UsageError(f"{where} must be 1 or 0, not {text!r}")
        return words[text.lower()]
    _check_local(hint, text, where)
    return Path(text).expanduser() if hint is Path else cards.parse_word(hint, text, where)


def _check_local(hint: Any, text: str, where: str) -> None:
    if hint is Path and "://" in text:
        raise UsageError(
            f"{where} is a folder of this machine, not {text}; features are shared through shared_cache, and records "
            "lie where `results` says"
        )


def _convert(hint: Any, value: Any, where: str, start: Path) -> Any:
    """Return `value` as `hint`; relative paths start from `start`, the folder of the file that names them."""
    if hint == Path | str and ("://" in str(value) or not value):
        return str(value)
    _check_local(hint, str(value), where)
    if hint in (Path, Path | str) and isinstance(value, str | Path):
        return start / Path(value).expanduser()
    if hint == tuple[Path, ...] and isinstance(value, list | tuple):
        return tuple(start / Path(item).expanduser() for item in value)
    return cards.convert(hint, value, where)
