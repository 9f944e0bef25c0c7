"""What the parts of a record have in common: they are frozen and typed, and equal parts give equal text.

A block settles its values when it is made, from Python or from JSON: a float field holds a float (so that `1` and `1.0`
cannot differ in a digest), an int field an int, a mapping plain JSON values whose types are kept. What does not fit is
refused by the name of its field. The types are the published schema, too; see `json_schema`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.files import canonical_json
from ssl_bench.json_schema import Limits

DEEPEST = 40
"""Levels of mappings and lists inside a free field."""
MOST = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""
Whole = Annotated[int, Limits(-MOST, MOST)]
Count = Annotated[int, Limits(0, MOST)]
Amount = Annotated[float, Limits(0)]

LATER = {"later": True}
"""Metadata of a field that a minor version added: its default is None, and then it is not written at all."""

Settler = Callable[[Any, str], Any]
"""(value, its place) → the value as the field keeps it; raises UsageError that begins with the place."""
B = TypeVar("B", bound="Block")


@dataclasses.dataclass(frozen=True)
class _Field:
    name: str
    hint: Any
    settle: Settler
    required: bool
    later: bool


@functools.cache
def fields(kind: type) -> tuple[_Field, ...]:
    """Return what a block's fields take, sorted by name."""
    hints = typing.get_type_hints(kind, include_extras=True)
    missing = dataclasses.MISSING
    found = [
        _Field(
            field.name,
            hints[field.name],
            _settler(hints[field.name]),
            field.default is missing and field.default_factory is missing,
            "later" in field.metadata,
        )
        for field in dataclasses.fields(kind)
    ]
    return tuple(sorted(found, key=lambda field: field.name))


class Block:
    """A part of a record; its subclasses are frozen dataclasses."""

    def __post_init__(self) -> None:
        for field in fields(type(self)):  # type: ignore[arg-type]  # mypy takes the type for unhashable
            object.__setattr__(self, field.name, field.settle(getattr(self, field.name), field.name))

    @classmethod
    def from_table(cls: type[B], table: Mapping[str, Any]) -> B:
        """Return the block with these values; raise UsageError that begins with a field's name."""
        known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
        for key in table:
            if key not in known:
                raise UsageError(f"{key} is not a field.{did_you_mean(key, known)} Fields: {', '.join(known)}")
        for name, field in known.items():
            if field.required and name not in table:
                raise UsageError(f"{name} is missing")
        return cls(**table)

    @functools.cached_property
    def canonical(self) -> str:
        """The block as canonical JSON, made once."""
        return joined(self.texts())

    def texts(self) -> list[tuple[str, str]]:
        """Return each field that is written, sorted by name, with its value as canonical JSON."""
        values = ((field, getattr(self, field.name)) for field in fields(type(self)))  # type: ignore[arg-type]
        return [(field.name, _canonical(value)) for field, value in values if not (field.later and value is None)]


def joined(texts: Iterable[tuple[str, str]]) -> str:
    """Return a JSON object of names, in this order, and values that are JSON already."""
    return f"{{{','.join(f'{canonical_json(name)}:{text}' for name, text in texts)}}}"


def _canonical(value: Any) -> str:
    """Return a settled value as canonical JSON."""
    if isinstance(value, Block):
        return value.canonical
    if isinstance(value, Mapping) and value and isinstance(next(iter(value.values())), Block):
        return joined((key, value[key].canonical) for key in sorted(value))
    return canonical_json(value)


def known_part(kind: type, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a block's table without the fields that this version does not know, inside its blocks as well."""
    known = {field.name: field.hint for field in fields(kind)}
    return {key: _known(known[key], value) for key, value in table.items() if key in known}


def _known(hint: Any, value: Any) -> Any:
    arguments = typing.get_args(hint)
    if isinstance(value, Mapping):
        if isinstance(hint, type) and issubclass(hint, Block):
            return known_part(hint, value)
        if typing.get_origin(hint) is Mapping:
            return {key: _known(arguments[1], item) for key, item in value.items()}
        if typing.get_origin(hint) in (typing.Union, types.UnionType):
            return _known(next(argument for argument in arguments if argument is not type(None)), value)
    return value


# ---------------------------------------------------------------------- one settler per type


@functools.cache
def _settler(hint: Any) -> Settler:
    """Return what settles the values of a field of this type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner = _settler(arguments[0])
        said = arguments[1]
        return _limited(inner, said) if isinstance(said, Limits) else _described(inner, said)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (_settler(argument) for argument in arguments if argument is not type(None))
        return lambda value, place: None if value is None else inner(value, place)
    if origin is typing.Literal:
        return _one_of(arguments)
    if origin is Mapping:
        return _mapping(_settler(arguments[1]))
    if origin is tuple:
        return _sequence(_settler(arguments[0]))
    if isinstance(hint, type) and issubclass(hint, Block):
        return _block(hint)
    return {str: _text, bool: _truth, int: _whole, float: _number}.get(hint, _plain)


def _text(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{place} must be text, not {_shown(value)}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{place} holds half a character (a lone surrogate), which UTF-8 cannot keep") from None
    return str(value)


def _truth(value: Any, place: str) -> bool:
    if type(value).__name__ in ("bool", "bool_"):  # Python's and NumPy's
        return bool(value)
    raise UsageError(f"{place} must be true or false, not {_shown(value)}")


def _whole(value: Any, place: str) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)  # JSON does not tell 1.0 from 1
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UsageError(f"{place} must be a whole number, not {_shown(value)}") from None


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool | str | bytes):
        raise UsageError(f"{place} must be a number, not {_shown(value)}")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{place} must be a number, not {_shown(value)}") from None
    except OverflowError:
        raise UsageError(f"{place} is larger than any number that can be kept") from None
    if not math.isfinite(number):
        raise UsageError(f"{place} is {number}, which is not finite")
    return number


def _plain(value: Any, place: str, depth: int = 0) -> Any:
    """Return `value` as plain JSON values, NumPy's scalars and arrays included; 1 stays 1 and 1.0 stays 1.0."""
    if depth > DEEPEST:
        raise UsageError(f"{place[:80]}… is nested too deeply")
    if value is None or type(value) in (bool, int):
        return value
    if isinstance(value, float):
        return _number(value, place)
    if isinstance(value, str):
        return _text(value, place)
    if isinstance(value, Mapping):
        return {_key(key, place): _plain(item, f"{place}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{place}[{i}]", depth + 1) for i, item in enumerate(value)]
    if isinstance(value, Path):
        return _text(str(value), place)
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), place, depth + 1)
    raise UsageError(f"{place} holds a {type(value).__name__}, which JSON cannot keep")


def _key(key: Any, place: str) -> str:
    return _text(str(key), f"a key of {place}")


def _limited(inner: Settler, limits: Limits) -> Settler:
    def settle(value: Any, place: str) -> Any:
        settled = inner(value, place)
        if limits.least is not None and settled < limits.least:
            raise UsageError(f"{place} is {_shown(settled)}, less than {limits.least}")
        if limits.most is not None and settled > limits.most:
            raise UsageError(f"{place} is {_shown(settled)}, more than {limits.most}")
        if limits.pattern and not re.search(limits.pattern, settled):
            raise UsageError(f"{place} is {_shown(settled)}, which does not look like {limits.pattern}")
        return settled

    return settle


def _described(inner: Settler, keys: type) -> Settler:
    """Settle a free mapping, and the keys that a TypedDict describes by its types."""
    known = {key: _settler(hint) for key, hint in typing.get_type_hints(keys, include_extras=True).items()}

    def settle(value: Any, place: str) -> Any:
        settled = inner(value, place)
        return {key: known[key](item, f"{place}.{key}") if key in known else item for key, item in settled.items()}

    return settle


def _one_of(options: tuple[Any, ...]) -> Settler:
    def settle(value: Any, place: str) -> Any:
        if not isinstance(value, str) or value not in options:
            raise UsageError(f"{place} is {_shown(value)}, which is none of {', '.join(map(repr, options))}")
        return value

    return settle


def _mapping(inner: Settler) -> Settler:
    def settle(value: Any, place: str) -> Any:
        if not isinstance(value, Mapping):
            raise UsageError(f"{place} must be an object, not {_shown(value)}")
        return {_key(key, place): inner(item, f"{place}.{key}") for key, item in value.items()}

    return settle


def _sequence(inner: Settler) -> Settler:
    def settle(value: Any, place: str) -> Any:
        if not isinstance(value, list | tuple):
            raise UsageError(f"{place} must be a list, not {_shown(value)}")
        return tuple(inner(item, f"{place}[{i}]") for i, item in enumerate(value))

    return settle


def _block(kind: type[Block]) -> Settler:
    def settle(value: Any, place: str) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, Mapping):
            raise UsageError(f"{place} must be an object, not {_shown(value)}")
        try:
            return kind.from_table(value)
        except UsageError as error:
            raise UsageError(f"{place}.{error}") from error

    return settle


def _shown(value: Any) -> str:
    """Return a refused value as it is named in a message: short, and in one line."""
    try:
        text = repr(value)
    except ValueError:  # a whole number too long to be written
        return "a number of thousands of digits"
    return text if len(text) <= 80 else f"{text[:79]}…"
