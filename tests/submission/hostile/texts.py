"""JSON and TOML that are too deep, too long, or of two meanings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ssl_bench.submission import bundle
from tests.submission.factory import CARD, FILE
from tests.submission.hostile.base import Arena, Case

CARD_TEXT = CARD.format(sha256=FILE).encode()
TWICE = "one key twice"


def member(name: str, content: bytes) -> Callable[[Arena], object]:
    """Hand in a bundle with another content of one member, its digest made good."""
    return lambda arena: arena.changed(lambda contents: contents.update({name: content}))


def records(change: Callable[[bytes], bytes]) -> Callable[[Arena], object]:
    """Hand in a bundle whose records were changed as text."""

    def edit(contents: dict[str, bytes]) -> None:
        contents[bundle.RECORDS] = change(contents[bundle.RECORDS])

    return lambda arena: arena.changed(edit)


def record(change: Callable[[dict[str, Any]], object]) -> Callable[[Arena], object]:
    """Hand in a bundle whose first record was changed as JSON, its digests left alone."""

    def edit(content: bytes) -> bytes:
        first, *rest = content.splitlines(keepends=True)
        body = json.loads(first)
        change(body)
        return (
            json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
            + b"\n"
            + b"".join(rest)
        )

    return records(edit)


def manifest(change: Callable[[bytes], bytes]) -> Callable[[Arena], object]:
    return lambda arena: arena.manifest(change)


def card(extra: bytes) -> Callable[[Arena], object]:
    return member("card.toml", CARD_TEXT + extra)


def said(name: str, value: str) -> Callable[[Arena], object]:
    """Hand in a card with another text under a key."""
    line = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    return member("card.toml", re.sub(rf"(?m)^{name} = .*$", lambda _: line, CARD_TEXT.decode()).encode())


DEEP = b"[" * 200_000 + b"]" * 200_000
DIGITS = b"9" * 100_000
CASES = (
    Case("a record nested 200,000 deep", member("records.jsonl", b'{"a":' + DEEP + b"}\n"), "nested more than 32 deep"),
    Case(
        "an attestation nested 200,000 deep", member("attest.json", b'{"a":' + DEEP + b"}"), "nested more than 32 deep"
    ),
    Case("a manifest nested 200,000 deep", manifest(lambda _: b'{"a":' + DEEP + b"}"), "nested more than 32 deep"),
    Case(
        "brackets within a text",
        manifest(lambda _: b'{"a":"' + b"[" * 9_000 + b'"}'),
        "manifest.json: a is not a field",
    ),
    Case("a number of 100,000 digits", member("records.jsonl", b'{"a":' + DIGITS + b"}\n"), "thousands of digits"),
    Case(
        "a number of 100,000 digits in a manifest", manifest(lambda _: b'{"a":' + DIGITS + b"}"), "thousands of digits"
    ),
    Case("a number beyond float64", record(lambda r: r.update(seed=10**400)), "seed|beyond|JSON cannot keep|whole"),
    Case(
        "an infinite number", records(lambda c: c.replace(b'"seed":0', b'"seed":1e999', 1)), "seed must|canonical|JSON"
    ),
    Case("NaN", records(lambda c: c.replace(b'"seed":0', b'"seed":NaN', 1)), "NaN, which is not JSON"),
    Case(
        "minus infinity", records(lambda c: c.replace(b'"seed":0', b'"seed":-Infinity', 1)), "-Infinity, which is not"
    ),
    Case("a seed that is a truth value", record(lambda r: r.update(seed=False)), "seed must"),
    Case("a seed below zero", record(lambda r: r.update(seed=-1)), "seed"),
    Case("a key that stands twice in a record", records(lambda c: c.replace(b'{"', b'{"seed":9,"', 1)), TWICE),
    Case("a key that stands twice in the manifest", manifest(lambda c: c.replace(b'{"', b'{"created":"","', 1)), TWICE),
    Case(
        "a key that stands twice by another spelling",
        records(lambda c: c.replace(b'"seed":0', rb'"seed":0,"\u0073eed":1', 1)),
        TWICE,
    ),
    Case("one line of five megabytes", record(lambda r: r.update(created="x" * 5_000_000)), "has .* bytes, more than"),
    Case("70 MB of records", member("records.jsonl", b"{}\n" * 24_000_000), "has .* bytes, more than"),
    Case("no end of line", records(lambda c: c[:-1]), "cut off"),
    Case("an empty line between records", records(lambda c: c.replace(b"\n", b"\n\n", 1)), "is not whole JSON"),
    Case(
        "half a character", records(lambda c: c.replace(b'"seed":0', rb'"seed":"\ud800"', 1)), "seed must|JSON cannot"
    ),
    Case(
        "half a character in a name",
        records(lambda c: c.replace(b'"name":"cifar10"', rb'"name":"\ud800"', 1)),
        "holds half a character",
    ),
    Case("bytes that are no UTF-8", member("records.jsonl", b'{"a":"\xff\xfe"}\n'), "is not UTF-8"),
    Case("a mark of byte order", records(lambda c: b"\xef\xbb\xbf" + c), "is not written canonically"),
    Case("UTF-16", records(lambda c: c.decode().encode("utf-16")), "is not|cut off|NUL|UTF-8"),
    Case("a comment in JSON", records(lambda c: b"/* */" + c), "is not whole JSON"),
    Case("a list for a record", member("records.jsonl", b"[]\n"), "is not a record"),
    Case("spaces between words", records(lambda c: c.replace(b'":', b'": ', 1)), "not written canonically"),
    Case(
        "keys in another order",
        records(
            lambda c: b"".join(
                json.dumps(dict(reversed(json.loads(line).items())), separators=(",", ":")).encode() + b"\n"
                for line in c.splitlines()
            )
        ),
        "not written canonically",
    ),
    Case(
        "a fraction that is written as a whole number",
        records(lambda c: re.sub(rb'"level":0\.95', b'"level":9.5e-1', c, count=1)),
        "not written canonically",
    ),
    Case(
        "records in another order",
        records(lambda c: b"".join(reversed(c.splitlines(keepends=True)))),
        "order of records",
    ),
    Case("a record that stands twice", records(lambda c: c.splitlines(keepends=True)[0] * 2), "there twice"),
    Case("a version of records that nobody knows", record(lambda r: r.update(schema="ssl-bench.record/99")), "schema"),
    Case("a version of bundles that nobody knows", manifest(lambda c: c.replace(b"bundle/1", b"bundle/99")), "schema"),
    Case("a schema that is markup", manifest(lambda c: c.replace(b"ssl-bench.bundle/1", b"<b>")), "schema"),
    Case("a manifest with another word", manifest(lambda c: c.replace(b'{"', b'{"aaa":1,"', 1)), "unknown key|aaa"),
    Case("a manifest with spaces", manifest(lambda c: c + b" "), "not written canonically"),
    Case(
        "a digest that is a path",
        manifest(lambda c: re.sub(rb'"sha256":"[0-9a-f]{64}"', b'"sha256":"../../etc/passwd"', c, count=1)),
        "sha256|pattern|does not",
    ),
    Case("a size that is no number", manifest(lambda c: re.sub(rb'"bytes":\d+', b'"bytes":-1', c, count=1)), "bytes"),
    Case(
        "a size of another member",
        manifest(lambda c: re.sub(rb'"bytes":\d+', b'"bytes":7', c, count=1)),
        "its content is not the one",
    ),
    Case("a card nested 9,999 deep", card(b"x = " + b"[" * 9_999), "nested more than 32 deep"),
    Case(
        "a card of tables in tables", card(b"\n[" + b".".join([b"a"] * 20_000) + b"]\n"), "a key has more than 32 parts"
    ),
    Case("a card of dotted keys", card(b"\n" + b".".join([b"a"] * 40_000) + b" = 1\n"), "a key has more than 32 parts"),
    Case("a card of a number of 100,000 digits", card(b"x = " + DIGITS), "TOML|unknown key|digits"),
    Case("a card of a megabyte", card(b"#" * 1_000_000), "has .* bytes, more than"),
    Case("a card with a key that nobody knows", card(b'colour = "red"\n'), "unknown key 'colour'"),
    Case("a card with one key twice", card(b'name = "other"\n'), "not valid TOML"),
    Case(
        "a card with a time for a text",
        member("card.toml", CARD_TEXT.replace(b'"A Lab"', b"1979-05-27")),
        "organisation.* must be text",
    ),
    Case("a card with a truth value for passes", card(b"passes_per_image = true\n"), "passes_per_image"),
    Case(
        "a card whose field has 3,000 letters",
        said("organisation", "x" * 3_000),
        "more than 2000 characters|more than 2,000",
    ),
    Case("a card of another encoding", member("card.toml", CARD_TEXT.decode().encode("utf-16")), "is not UTF-8|TOML"),
    Case("a card whose digest is a path", said("sha256", "../../etc/passwd"), "sha256 is not 64 digits"),
    Case("a list of packages of a megabyte", member("env/lock.txt", b"#" * 1_000_000), "has .* bytes, more than"),
    Case("an attestation that is a list", member("attest.json", b"[]"), "is not a record but JSON of another kind"),
)
