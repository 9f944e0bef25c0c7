"""What a record was asked, in words: for refusals that say which field differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.results.record import Record


def asked(record: Record) -> dict[str, Any]:
    """Return what a question's digest covers, by readable names."""
    return {
        "features": record.features.requested,
        "recipe": record.protocol.recipe,
        "protocol.version": record.protocol.version,
        "task.digest": record.task.digest[:12],
        "task.version": record.task.version,
        "task.truncated": record.task.truncated,
    }


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, with dotted keys."""
    found: dict[str, Any] = {}
    for key, item in value.items():
        inner = flat(item, f"{prefix}{key}.") if isinstance(item, Mapping) else {f"{prefix}{key}": item}
        found |= inner
    return found


def differing(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the keys, sorted, under which flat mappings do not all hold the same."""
    held = list(parts)
    keys = sorted({key for part in held for key in part})
    return [key for key in keys if len({canonical_json(part.get(key)) for part in held}) > 1]


def short(value: Any, most: int = 60) -> str:
    """Return a value as JSON, cut where it is long."""
    text = canonical_json(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
