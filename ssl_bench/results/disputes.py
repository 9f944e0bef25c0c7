"""Doubting records, and settling a doubt: verifications that no computation made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ssl_bench.errors import UsageError
from ssl_bench.results.store import Results
from ssl_bench.results.trust import signed
from ssl_bench.results.verifications import AGREES, Verification, now


def dispute(
    results: Results,
    prefixes: Iterable[str],
    reason: str,
    *,
    by: str,
    link: str = "",
    settle: bool = False,
    key: Path | None = None,
) -> list[Verification]:
    """Say that the records of some jobs, or with some content digests, are in doubt, or with `settle` no longer are.

    Returns what was put, one for each model; `key` signs. Raises UsageError where a prefix names no job or several, or
    the reason is empty.
    """
    if reason.strip() in ("", AGREES):
        raise UsageError("the reason is empty; readers of the board will ask for it")
    results.check_writable()
    by_model: dict[str, set[str]] = defaultdict(set)
    for record in (record for prefix in prefixes for record in results.find(prefix)):
        by_model[record.model.name].add(record.content_digest)
    made = [
        Verification(model, tuple(sorted(digests)), "settled" if settle else "dispute", reason, by, now(), link=link)
        for model, digests in sorted(by_model.items())
    ]
    made = [signed(one, key) for one in made]
    for one in made:
        results.put_verification(one)
    return made
