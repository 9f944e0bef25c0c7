"""Protocols: one file per published way of asking. The folder is the registry; a protocol's id is its module's name."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench import cards
from ssl_bench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from ssl_bench.protocols.base import Protocol

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Return the ids of all protocols, sorted, without importing one."""
    files = (path.stem for path in FOLDER.glob("*.py"))
    return tuple(sorted(name for name in files if name != "base" and not name.startswith("_")))


def get(text: str) -> Protocol:
    """Return the protocol that a text such as "knn" or "knn,k=1,distance=euclidean" names.

    Raises UsageError, with the nearest known names, for an unknown protocol or field, and for a value that is unfit.
    """
    name, options = cards.parse_reference(text)
    _check(name)
    kind: type[Protocol] = importlib.import_module(f"{__name__}.{name}").Protocol
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind)]
    for key in options:
        if key not in fields:
            raise UsageError(f"{name} has no field {key!r}.{did_you_mean(key, fields)} Its fields: {', '.join(fields)}")
    return kind(**{key: cards.parse_word(hints[key], word, f"{name}: {key}") for key, word in options.items()})


def recipe(protocol: Protocol) -> dict[str, Any]:
    """Return the fields of a protocol as plain JSON values, less those that came later and say what always was."""
    known = [
        f.name
        for f in dataclasses.fields(protocol)
        if f.metadata.get("later") and f.default == getattr(protocol, f.name)
    ]
    return {name: value for name, value in cards.plain(protocol).items() if name not in known}


def summary(name: str) -> str:
    """Return the first sentence of a protocol's module, read without importing it."""
    text = ast.get_docstring(_parsed(name)) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence, stop, _ = paragraph.partition(". ")
    return sentence + "." if stop else paragraph


def lacks(name: str) -> str:
    """Return how what a protocol cannot do without is installed, or "" where it is or nothing more is needed.

    A module says so by `NEEDS`: the name to import and the command; it is read without importing either.
    """
    for node in _parsed(name).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["NEEDS"]:
            module, command = ast.literal_eval(node.value)
            return "" if importlib.util.find_spec(module) else str(command)
    return ""


def _parsed(name: str) -> ast.Module:
    _check(name)
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def _check(name: str) -> None:
    known = names()
    if name not in known:
        raise UsageError(f"no protocol is called {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}")
