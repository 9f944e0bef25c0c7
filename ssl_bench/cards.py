"""Cards: TOML files that become frozen dataclasses. A card's name is its file's name; the folder is the registry.

A *shelf* is a folder with the rooms `model_zoo/`, `tasks/` and `tasks/suites/`. The built-in shelf comes first, then
the packages that name themselves under the entry-point group `ssl_bench`, then every `--shelf DIR`. The same name on
two shelves is an error that names both files.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import importlib.util
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ssl_bench.errors import UsageError, did_you_mean

T = TypeVar("T")
PLUGIN_GROUP = "ssl_bench"
_SCALARS = frozenset({str, int, float, bool, type(None)})


def builtin_folder(room: str) -> Path:
    """Return the folder of a built-in room, such as "model_zoo": inside an installed wheel, else beside the package."""
    package = Path(__file__).parent
    shelves = package / "_shelves"
    return (shelves if shelves.is_dir() else package.parent) / room


@functools.cache
def plugin_shelves() -> tuple[Path, ...]:
    """Return the folders of installed packages that offer cards; the packages themselves are not imported."""
    folders = []
    for entry in sorted(importlib.metadata.entry_points(group=PLUGIN_GROUP), key=lambda e: e.name):
        top, _, rest = entry.value.partition(":")[0].partition(".")
        spec = importlib.util.find_spec(top)
        places = list(spec.submodule_search_locations or ()) if spec else []
        if not places:
            raise UsageError(f"the plugin {entry.name!r} names the package {entry.value!r}, which is not importable")
        folders.append(Path(places[0]).joinpath(*rest.split(".")) if rest else Path(places[0]))
    return tuple(folders)


@dataclasses.dataclass(frozen=True)
class Shelves:
    """Where cards are looked for, in order."""

    extra: tuple[Path, ...] = ()
    """Folders named with `--shelf`."""

    def folders(self, room: str) -> list[Path]:
        """Return the existing folders of one room; raise UsageError for a `--shelf` that is no folder."""
        for shelf in self.extra:
            if not shelf.is_dir():
                raise UsageError(f"the shelf {shelf} is not a folder")
        places = [builtin_folder(room), *(shelf / room for shelf in (*plugin_shelves(), *self.extra))]
        return [place for place in places if place.is_dir()]

    def names(self, room: str) -> dict[str, Path]:
        """Return every card of a room, name to file, sorted by name; raise UsageError where two files share a name."""
        found: dict[str, Path] = {}
        for folder in self.folders(room):
            for file in sorted(_files(folder)):
                name, _, kind = file.rpartition(".")
                if kind == "toml" and name:
                    path = folder / file
                    if (other := found.setdefault(name, path)) is not path:
                        raise UsageError(f"two cards are called {name!r}: {other} and {path}; rename one of them")
        return dict(sorted(found.items()))

    def find(self, room: str, noun: str, name: str) -> Path:
        """Return the file of the card called `name`, which may have "-" for "_" or be a path to a `.toml` file."""
        if name.endswith(".toml") or "/" in name:
            path = Path(name).expanduser()
            if not path.is_file():
                raise UsageError(f"no {noun} card is at {path}")
            return path
        here = [folder / f"{name}.toml" for folder in self.folders(room) if f"{name}.toml" in _files(folder)]
        if len(here) == 1:
            return here[0]
        names = self.names(room)
        if name not in names and name.replace("-", "_") in names:  # "vtab-auto" is written as often as "vtab_auto"
            return names[name.replace("-", "_")]
        if name not in names:
            places = ", ".join(str(folder) for folder in self.folders(room))
            raise UsageError(
                f"no {noun} card is called {name!r}.{did_you_mean(name, names)} Looked in: {places}. "
                f"`ssl-bench list {noun}s` shows all."
            )
        return names[name]


def _files(folder: Path) -> list[str]:
    """Return the names in a folder, as they are written; texts are sorted and compared much faster than paths."""
    return [path.name for path in folder.iterdir()]


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's table; raise UsageError that names the file, and the line of a mistake."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error


def read_card(path: Path, kind: type[T]) -> T:
    """Return the card at `path` as the dataclass `kind`, with `name` taken from the file's name."""
    return from_table(kind, read_toml(path), str(path), name=path.stem)


def from_table(kind: type[T], table: Mapping[str, Any], where: str, **given: Any) -> T:
    """Build the dataclass `kind` from a TOML table; `given` fields may not be in the table.

    Raises UsageError naming `where` for an unknown key (with a suggestion), a missing key or a wrong type.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # mypy takes a dataclass type for unhashable
    fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in given}  # type: ignore[arg-type]
    for key in table:
        if key not in fields:
            known = ", ".join(fields)
            raise UsageError(f"{where}: unknown key {key!r}.{did_you_mean(key, fields)} Known keys: {known}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in table:
            raise UsageError(f"{where}: the key {name!r} is missing")
    values = {key: convert(hints[key], value, f"{where}: {key}") for key, value in table.items()}
    try:
        return kind(**given, **values)
    except UsageError as error:  # the dataclass's own checks know the field but not the place
        raise UsageError(f"{where}: {error}") from error


@functools.cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return a type's origin and arguments: (tuple, (int, ...)) for tuple[int, ...]."""
    return typing.get_origin(hint), typing.get_args(hint)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields; evaluating them anew for each of thousands of records is slow."""
    return typing.get_type_hints(kind)


def convert(hint: Any, value: Any, where: str) -> Any:
    """Return `value` as the type `hint`: a scalar, a tuple, a mapping, an optional or a nested dataclass."""
    if hint is Any or type(value) is hint:
        return value
    origin, arguments = _parts(hint)
    if origin in (typing.Union, types.UnionType):
        return _convert_union(arguments, value, where)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a table, not {value!r}")
        return from_table(typing.cast(type, hint), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{where} must be a list, not {value!r}")
        return tuple(convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise UsageError(f"{where} must be a table, not {value!r}")
        if arguments[1] is Any:
            return {str(key): item for key, item in value.items()}
        return {str(key): convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if origin is typing.Literal:
        if value not in arguments:
            options = ", ".join(repr(argument) for argument in arguments)
            raise UsageError(
                f"{where} is {value!r}, which is not one of {options}.{did_you_mean(str(value), map(str, arguments))}"
            )
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    names = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    raise UsageError(f"{where} must be {names.get(hint, hint)}, not {value!r}")


def _convert_union(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    choices = [argument for argument in arguments if argument is not type(None)]
    for choice in choices[:-1]:
        try:
            return convert(choice, value, where)
        except UsageError:
            continue
    return convert(choices[-1], value, where)


def parse_word(hint: Any, text: str, where: str) -> Any:
    """Return a command-line word such as "20" or "true" as the type `hint`; tuples are written "10+20+100"."""
    if typing.get_origin(hint) is tuple:
        return tuple(parse_word(typing.get_args(hint)[0], part, where) for part in text.split("+"))
    try:
        value: Any = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if hint is str:
        value = text
    return convert(hint, value, where)


def parse_reference(text: str) -> tuple[str, dict[str, str]]:
    """Split "name,key=value,key=value" into the name and its options; raise UsageError for a part without "="."""
    head, *parts = text.split(",")
    options: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise UsageError(f"{text!r}: {part!r} is not key=value")
        options[key.strip()] = value.strip()
    return head, options


def plain(value: Any) -> Any:
    """Return a dataclass, tuple or mapping as plain JSON values: dicts, lists and scalars."""
    if type(value) in _SCALARS:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
