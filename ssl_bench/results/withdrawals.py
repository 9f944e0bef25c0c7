"""Taking a record back without deleting it: a small file beside it that names its content and says why.

A withdrawn record stays readable and listed. It stands for no job: boards leave it out, and a run measures anew.
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json
from ssl_bench.results.record import Record

SCHEMA = "ssl-bench.withdrawal/1"
HEX = frozenset("0123456789abcdef")


@dataclasses.dataclass(frozen=True)
class Withdrawal:
    """That one record's numbers do not stand, and why."""

    record_id: str
    content_digest: str
    """Of the record that is withdrawn; another run of the same job is another record."""
    model: str
    task: str
    protocol: str
    seed: int
    reason: str
    created: str
    """UTC, ISO 8601."""
    schema: str = SCHEMA

    def __post_init__(self) -> None:
        for name in ("record_id", "content_digest"):
            digest = getattr(self, name)
            if len(digest) != 64 or not set(digest) <= HEX:
                raise UsageError(f"{name} is {digest[:80]!r}, which is no sha256")
        if not self.reason.strip():
            raise UsageError("the reason is empty; readers of the board will ask for it")

    def to_text(self) -> str:
        """Return the withdrawal as one line of canonical JSON."""
        return canonical_json(cards.plain(self))


def withdrawal_of(record: Record, reason: str) -> Withdrawal:
    """Return the withdrawal of a record, as of now; raise UsageError for an empty reason."""
    return Withdrawal(
        record_id=record.record_id,
        content_digest=record.content_digest,
        model=record.model.name,
        task=record.task.name,
        protocol=record.protocol.name,
        seed=record.seed,
        reason=reason,
        created=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def from_json(body: Mapping[str, Any], where: str) -> Withdrawal:
    """Return the withdrawal; raise UsageError naming `where` and the field for anything else."""
    return cards.from_table(Withdrawal, body, where)
