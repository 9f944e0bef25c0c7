"""The published schema of a record: the types that check it, as JSON Schema.

It says what a record's form is; what its parts must say of one another stands in `invariants`.
"""

from __future__ import annotations

from typing import Any

from ssl_bench import json_schema
from ssl_bench.results import record
from ssl_bench.results.parts import Sha256


def record_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a record, as this version and the minor versions before it write it."""
    schema = json_schema.of(record.Record, title=f"A record of ssl-bench: {record.SCHEMA}")
    for name in record.STATED:
        sentence = " ".join((getattr(record.Record, name).__doc__ or "").split())
        schema["properties"][name] = json_schema.value(Sha256) | {"description": sentence}
    schema["required"] += [*record.STATED, "schema"]
    return schema
