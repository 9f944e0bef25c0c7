"""A bundle from what was measured: members, attestation, signature."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_bench import signatures
from ssl_bench.results.record import Record
from ssl_bench.submission import attestation, bundle
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.manifest import Asked, Harness
from ssl_bench.submission.sketch import Sketch


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """What is claimed of a model."""

    records: Sequence[Record]
    predictions: Mapping[str, bytes]
    """Parquet files by their sha256."""
    sketches: Mapping[str, Sketch]
    """By their names in a bundle."""


def assemble(
    measured: Measured,
    suite: Asked,
    harness: Harness,
    *,
    card: bytes,
    lock: str,
    invocation: Sequence[str],
    created: str,
    key: Path | None = None,
) -> Bundle:
    """Return the bundle, with an attestation of its members, signed if there is a `key`; see `signatures.sign` for what
    that raises."""
    members = bundle.members(measured.records, measured.predictions, measured.sketches, card, lock)
    attest = attestation.statement(bundle.held(members), measured.records, suite, harness, invocation)
    signature = signatures.sign(attest, key) if key else None
    return bundle.make(members, attest, signature, suite=suite, harness=harness, created=created)
