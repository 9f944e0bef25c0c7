"""The first thing that is believed of a bundle: what it holds, byte by byte, and which round it answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Literal

from ssl_bench import cards
from ssl_bench.files import canonical_json
from ssl_bench.json_schema import Limits as Pattern
from ssl_bench.results.blocks import Block, Count, Whole

SCHEMA: Literal["ssl-bench.bundle/1"] = "ssl-bench.bundle/1"
Sha256 = Annotated[str, Pattern(pattern="^[0-9a-f]{64}$")]


@dataclasses.dataclass(frozen=True)
class Held(Block):
    """A member of a bundle."""

    sha256: Sha256
    bytes: Count


@dataclasses.dataclass(frozen=True)
class Asked(Block):
    """The round: a suite as it stood when the bundle was made."""

    name: str
    version: Whole
    digest: Sha256
    """Of the round; see `rounds.Round`."""


@dataclasses.dataclass(frozen=True)
class Harness(Block):
    """Which ssl-bench made the bundle."""

    version: str
    code: Sha256
    """Of all its modules; see `environment.source_digest`."""


@dataclasses.dataclass(frozen=True)
class Manifest(Block):
    """`manifest.json`. Its sha256 names the bundle."""

    suite: Asked
    harness: Harness
    members: Mapping[str, Held]
    """Name to content of every other member."""
    created: str
    """UTC, ISO 8601."""
    schema: Literal["ssl-bench.bundle/1"] = SCHEMA

    def to_bytes(self) -> bytes:
        """Return the manifest as one line of canonical JSON."""
        return canonical_json(cards.plain(self)).encode()
