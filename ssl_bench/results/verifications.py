"""What somebody who did not submit records found out about them: a small file beside them, immutable like they are.

A verification names records by their content, so that it speaks of no other run; it says what was checked, with which
tolerance, and what came of it. Several may speak of one record, and none is ever removed: `standing` reads them all.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Literal, get_args

from ssl_bench import __version__, cards
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.files import canonical_json

SCHEMA = "ssl-bench.verification/1"
AGREES = "agrees"
Check = Literal["schema", "rescore", "sample", "full", "dispute", "settled"]
CHECKS: tuple[Check, ...] = get_args(Check)
"""How much was done again: the four levels of `ssl-bench verify`; that somebody doubts; that the doubt is removed."""
MOST_RECORDS = 100_000
LONGEST = 2000
"""Characters of a text."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was found of some records of one model."""

    model: str
    records: tuple[str, ...]
    """Content digests, sorted."""
    level: Check
    outcome: str
    """"agrees", or what did not; the reason, where it is a dispute or settles one."""
    verifier: str
    """Who checked; signed, the name in the list of signers."""
    created: str
    """UTC, ISO 8601."""
    bundle: str = ""
    """sha256 of the bundle that was checked; empty where there was none."""
    nonce: str = ""
    """From which images and tasks were drawn, after the bundle was fixed."""
    tolerance: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """What was still taken for agreement."""
    link: str = ""
    """Where it is discussed (an address)."""
    release: str = __version__
    """Version of ssl-bench that checked."""
    signature: str = ""
    """SSH signature of `signed_text`; empty where nobody signed."""
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        _check_schema(self.schema)
        if not self.records or list(self.records) != sorted(set(self.records)) or len(self.records) > MOST_RECORDS:
            raise UsageError(f"records must be 1 to {MOST_RECORDS} content digests, sorted, none twice")
        for digest in (*self.records, *([self.bundle] if self.bundle else [])):
            if not re.fullmatch("[0-9a-f]{64}", digest):
                raise UsageError(f"{digest[:80]!r} is no sha256")
        if len(self.model) > LONGEST or any("\ud800" <= char <= "\udfff" for char in self.model):
            raise UsageError(f"model must be text of up to {LONGEST} characters")
        for name in ("outcome", "verifier", "created", "bundle", "nonce", "link", "release"):
            text = getattr(self, name)
            if not text.isprintable() or len(text) > LONGEST:
                raise UsageError(f"{name} must be printable text of up to {LONGEST} characters")
        for name, why in (("outcome", "readers of the board will ask for it"), ("verifier", "say who checked")):
            if not getattr(self, name).strip():
                raise UsageError(f"{name} is empty; {why}")
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", self.created):
            raise UsageError(f"created is {self.created[:80]!r}, not a time such as 2026-02-01T12:00:00Z")
        if self.link and not re.fullmatch(r"https?://[^\s<>\"']+", self.link):
            raise UsageError(f"link is {self.link[:80]!r}, which is no http(s) address")
        if len(self.signature) > 10 * LONGEST or not self.signature.isascii():
            raise UsageError("signature is none of SSH")
        if len(self.tolerance) > 20 or not all(re.fullmatch("[a-z0-9_]{1,40}", name) for name in self.tolerance):
            raise UsageError("tolerance must hold up to 20 plain names")
        if not all(map(math.isfinite, self.tolerance.values())):
            raise UsageError("tolerance must hold finite numbers")

    @property
    def agrees(self) -> bool:
        """Whether what was checked was found as the records say."""
        return self.outcome == AGREES and self.level not in ("dispute", "settled")

    @property
    def signed_text(self) -> str:
        """What a signature is over: the whole verification but the signature, as canonical JSON."""
        return canonical_json(cards.plain(self) | {"signature": ""})

    @functools.cached_property
    def content_digest(self) -> str:
        """sha256 of this verification."""
        return hashlib.sha256(canonical_json(cards.plain(self)).encode()).hexdigest()

    def to_text(self) -> str:
        """Return the verification as one line of canonical JSON, its digest written out."""
        return canonical_json(cards.plain(self) | {"content_digest": self.content_digest})


def _check_schema(schema: str) -> None:
    if schema != SCHEMA:
        raise UsageError(f"schema is {schema[:80]!r}.{did_you_mean(schema, [SCHEMA])} This release reads {SCHEMA}")


def from_json(body: Mapping[str, Any], where: str) -> Verification:
    """Return the verification; raise UsageError naming `where` and the field for anything else, and for one whose
    digest is not that of its content."""
    rest = {key: value for key, value in body.items() if key != "content_digest"}
    try:
        made = cards.from_table(Verification, rest, where)
    except OverflowError:
        raise UsageError(f"{where}: holds a number beyond float64") from None
    except UsageError as error:
        raise UsageError(str(error)[:500]) from None
    if body.get("content_digest") != made.content_digest:
        raise UsageError(f"{where}: content_digest does not match the content; the verification was edited or damaged")
    return made


def from_text(text: str) -> Verification:
    """Return the verification that `to_text` wrote and that was read and checked before, without the checks."""
    body = json.loads(text)
    made = object.__new__(Verification)
    made.__dict__.update(body | {"records": tuple(body["records"])})
    return made


def now() -> str:
    """Return the time as a verification states it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
