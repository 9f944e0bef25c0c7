"""JSON Schema (draft 2020-12) of dataclasses, read from the types of their fields and the sentences under them."""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import itertools
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DRAFT = "https://json-schema.org/draft/2020-12/schema"
SCALARS: Mapping[Any, str] = {str: "string", Path: "string", bool: "boolean", int: "integer", float: "number"}
Schema = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a scalar field allows besides its type; written as `Annotated[int, Limits(least=0)]`."""

    least: float | None = None
    most: float | None = None
    pattern: str = ""
    """A regular expression that is found in a text."""

    def schema(self) -> Schema:
        """Return the keywords that say so."""
        words = {"minimum": self.least, "maximum": self.most, "pattern": self.pattern or None}
        return {word: value for word, value in words.items() if value is not None}


def of(kind: type, title: str, without: Sequence[str] = ()) -> Schema:
    """Return the schema of a dataclass, less some of its fields; dataclasses inside it stand under `$defs`."""
    parts: dict[str, Schema] = {}
    whole = _table(kind, parts)
    for name in without:
        whole["properties"].pop(name, None)
    whole["required"] = [name for name in whole.get("required", ()) if name not in without]
    return _headed(title, whole, parts)


def array_of(kind: type, title: str) -> Schema:
    """Return the schema of a list of what a dataclass or TypedDict describes."""
    parts: dict[str, Schema] = {}
    return _headed(title, {"type": "array", "items": _table(kind, parts)}, parts)


def value(hint: Any) -> Schema:
    """Return the schema of a type that holds no dataclass."""
    return _value(hint, {})


def _headed(title: str, whole: Schema, parts: dict[str, Schema]) -> Schema:
    return {"$schema": DRAFT, "title": title} | whole | ({"$defs": dict(sorted(parts.items()))} if parts else {})


@functools.cache
def documented(kind: type) -> dict[str, str]:
    """Return what is written under each field of a class, as one line each."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    body = typing.cast(ast.ClassDef, tree.body[0]).body
    found = {}
    for field, below in itertools.pairwise(body):
        text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else None
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, str):
            found[field.target.id] = " ".join(text.split())
    return found


def _table(kind: type, parts: dict[str, Schema]) -> Schema:
    """Return the schema of a dataclass or TypedDict as an object; a TypedDict may hold further keys."""
    hints, texts = typing.get_type_hints(kind, include_extras=True), documented(kind)
    properties = {}
    for name, hint in hints.items():
        properties[name] = _value(hint, parts) | ({"description": texts[name]} if name in texts else {})
    schema: Schema = {"type": "object", "description": _first_line(kind), "properties": properties}
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        fields = dataclasses.fields(kind)
        schema["required"] = [f.name for f in fields if f.default is missing and f.default_factory is missing]
        schema["additionalProperties"] = False
    return schema


def _first_line(kind: type) -> str:
    return " ".join((kind.__doc__ or "").partition("\n\n")[0].split())


def _value(hint: Any, parts: dict[str, Schema]) -> Schema:
    """Return the schema of a field's type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _annotated(arguments[0], arguments[1], parts)
    if origin in (typing.Union, types.UnionType):
        options = [_value(argument, parts) for argument in arguments]
        plain = all(set(option) == {"type"} for option in options)
        return {"type": [option["type"] for option in options]} if plain else {"anyOf": options}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (dict, Mapping):
        return {"type": "object"} | (
            {} if arguments[1] is Any else {"additionalProperties": _value(arguments[1], parts)}
        )
    if origin in (tuple, list):
        return {"type": "array", "items": _value(arguments[0], parts)}
    if dataclasses.is_dataclass(hint):
        kind = typing.cast(type, hint)
        if kind.__name__ not in parts:
            parts[kind.__name__] = {}  # holds the place for a kind that holds itself
            parts[kind.__name__] = _table(kind, parts)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if hint is type(None):
        return {"type": "null"}
    return {} if hint is Any else {"type": SCALARS[hint]}


def _annotated(hint: Any, said: Any, parts: dict[str, Schema]) -> Schema:
    """Return the schema of a type with its `Limits`, or of a mapping with the keys that a TypedDict describes."""
    schema = _value(hint, parts)
    if isinstance(said, Limits):
        return schema | said.schema()
    return schema | {"properties": _table(said, parts)["properties"]}
