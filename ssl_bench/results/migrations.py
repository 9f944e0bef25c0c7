"""Versions of the record's schema: which are read, and how an older one becomes today's.

A step is a pure function on plain JSON values; `tests/results/versions/` holds a record of every version. A record that
was lifted keeps the bytes and the digest that it was written with. What a later minor version added is left aside while
reading, and kept in those bytes.

    1     the first
    1.1   added ceiling, ids and labels, and costs beyond seconds; all may be absent
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ssl_bench.errors import UsageError

FAMILY, MAJOR, MINOR = "ssl-bench.record", 1, 1


def minor_version(schema: Any) -> int:
    """Return the minor version of a record's schema; raise UsageError for a newer major one, and for what is none."""
    found = re.fullmatch(r"(.+)/(\d{1,6})(?:\.(\d{1,6}))?", schema, re.ASCII) if isinstance(schema, str) else None
    if found is None or found[1] != FAMILY or not int(found[2]) > 0:
        ours = f"{FAMILY}/{MAJOR}.{MINOR}"
        raise UsageError(f"schema is {str(schema)[:80]!r}, not {ours!r}; this is not a record of ssl-bench")
    if int(found[2]) > MAJOR:
        raise UsageError(f"schema is {schema!r}: made by a newer ssl-bench; upgrade (this one reads {FAMILY}/{MAJOR})")
    return int(found[3] or 0)


def lifted(body: Mapping[str, Any], minor: int) -> dict[str, Any]:
    """Return a record's plain JSON values as the current version has them."""
    for step in STEPS[minor:]:
        body = step(body)
    return dict(body)


def with_ceilings(body: Mapping[str, Any]) -> dict[str, Any]:
    """1 → 1.1: the ceiling of a share is its best value, as no task of that time stated a nearer bound."""
    task = body.get("task")
    definitions = task.get("metrics") if isinstance(task, Mapping) else None
    lifted_body = {**body, "schema": f"{FAMILY}/1.1"}
    if isinstance(task, Mapping) and isinstance(definitions, Mapping):
        lifted_body["task"] = {**task, "metrics": {name: _with_ceiling(one) for name, one in definitions.items()}}
    return lifted_body


def _with_ceiling(definition: Any) -> Any:
    if not isinstance(definition, Mapping) or definition.get("unit") != "fraction" or "ceiling" in definition:
        return definition
    best = definition.get("high" if definition.get("higher_is_better") is True else "low")
    return definition if best is None else {**definition, "ceiling": best}


STEPS = (with_ceilings,)
"""Step i makes the minor version i + 1 of i."""
