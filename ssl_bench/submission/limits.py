"""How large and how deep what strangers hand in may be; asked before anything is unpacked, parsed or allocated."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

from ssl_bench.errors import UsageError
from ssl_bench.results.record import parse

_TOML_WORDS = re.compile(r'"(?:[^"\\\n]|\\.)*"?|\'[^\'\n]*\'?|#[^\n]*')
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_BRACKETS = re.compile(rb"[\[\]{}]")


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a reader accepts. Sizes are bytes."""

    total: int = 2**30
    """Of the whole bundle. Test sets of all suites fit: 50,000 images are 2.6 MB of sketches."""
    member: int = 2**28
    members: int = 20_000
    json: int = 2**26
    """Of a member of JSON, `records.jsonl` included."""
    line: int = 2**22
    """Of one record."""
    depth: int = 32
    """Of objects and lists in one another; a record has six."""
    text: int = 2**18
    """Of the card and of the list of packages."""
    rows: int = 8_000_000
    """Of one table of predictions."""
    columns: int = 16
    decoded: int = 2**30
    """Of one table of predictions in memory."""


USUAL = Limits()


def readable(text: bytes | str, most: int = 80) -> str:
    """Return a stranger's words for a terminal: printable, on one line, cut."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    clean = "".join(char if char.isprintable() else "�" for char in words)
    return clean if len(clean) <= most else f"{clean[: most - 1]}…"


def check_depth(content: bytes, where: str, limits: Limits = USUAL) -> None:
    """Raise UsageError where brackets stand deeper in one another than a parser should be asked to follow."""
    depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub(b"", content)):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.depth:
            raise UsageError(f"{where}: is nested more than {limits.depth} deep")


def check_keys(text: str, where: str, limits: Limits = USUAL) -> None:
    """Raise UsageError where a line of TOML has more dots outside its words than tables may be deep: `a.a.a.…` takes a
    parser time that grows with the square of its length, and 80 kB of it take a minute."""
    for number, line in enumerate(_TOML_WORDS.sub("", text).splitlines(), start=1):
        if line.count(".") > limits.depth:
            raise UsageError(f"{where}: line {number}: a key has more than {limits.depth} parts")


def parse_json(content: bytes, where: str, limits: Limits = USUAL) -> dict[str, Any]:
    """Return a JSON object; raise UsageError naming `where` for one too large or deep, or for what `parse` refuses."""
    if len(content) > limits.json:
        raise UsageError(f"{where}: has {len(content):,} bytes, more than {limits.json:,}")
    check_depth(content, where, limits)
    return parse(content, where)
