"""Records from text that has been checked before: the same objects that `Record.from_text` gives, without the checks.

Only the index calls this, with what it wrote itself from a record that was read and checked in full.
"""

from __future__ import annotations

import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from ssl_bench.results.record import Record

Build = Callable[[Any], Any]
NOTHING: Mapping[str, Any] = {}


def _same(value: Any) -> Any:
    return value


@functools.cache
def builder(hint: Any) -> Build:
    """Return what makes a value of type `hint` from canonical JSON values; most are kept as they are."""
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _block_builder(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = next(
            (
                builder(argument)
                for argument in arguments
                if isinstance(argument, type) and dataclasses.is_dataclass(argument)
            ),
            _same,
        )
        return _same if inner is _same else lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = builder(arguments[0])
        return tuple if item is _same else lambda value: tuple(map(item, value))
    if origin in (dict, Mapping) and builder(arguments[1]) is not _same:
        item = builder(arguments[1])
        return lambda value: {key: item(inner) for key, inner in value.items()}
    return _same


def _block_builder(kind: type) -> Build:
    fill = _filler(kind)

    def build(value: Mapping[str, Any]) -> Any:
        made: Any = object.__new__(kind)
        fill(made.__dict__, value, NOTHING)
        return made

    return build


@functools.cache
def _filler(kind: type) -> Callable[[dict[str, Any], Mapping[str, Any], Mapping[str, Any]], None]:
    """Return what fills the `__dict__` of a `kind` with fields from JSON values, and with fields that are made."""
    hints = typing.get_type_hints(kind)
    fields = dataclasses.fields(kind)
    names = {field.name for field in fields}
    makers = [(name, make) for name in sorted(names) if (make := builder(hints[name])) is not _same]

    def fill(inner: dict[str, Any], value: Mapping[str, Any], made: Mapping[str, Any]) -> None:
        inner.update(value if value.keys() <= names else {name: value[name] for name in names & value.keys()})
        for name, make in makers:
            if name in inner:
                inner[name] = make(inner[name])
        inner.update(made)
        if len(inner) < len(fields):
            inner.update({field.name: _default(field) for field in fields if field.name not in inner})

    return fill


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def block(key: str, value: Any) -> Any:
    """Return a record's field `key` from its JSON value."""
    return _of_record(key)(value)


@functools.cache
def _of_record(key: str) -> Build:
    return builder(typing.get_type_hints(Record)[key])


def written(record: Record) -> str | None:
    """Return a record's text where another minor version of the schema wrote it, and None where this one would."""
    return record.__dict__.get("_as_written")


def record(
    blocks: Mapping[str, Any], rest: Mapping[str, Any], stated: Mapping[str, str], as_written: str | None
) -> Record:
    """Return a record of fields that are made (`blocks`) and JSON values (`rest`), with its digests as they were."""
    made = object.__new__(Record)
    inner = made.__dict__
    _filler(Record)(inner, rest, blocks)
    inner.update(stated if as_written is None else {**stated, "_as_written": as_written})
    return made
