"""Per-sample predictions that are at hand for a board, and what was found in them before.

A board of a thousand models reads the predictions of those near a column's best alone, and of these only once: what was
found is kept in a file, by the content digests of the records that it was found in.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import canonical_json, write_text
from ssl_bench.results.record import Record

if TYPE_CHECKING:
    from ssl_bench.results.samples import Table
    from ssl_bench.results.store import Results

VERSION = "told apart 1"
"""Part of every key of the memory: it changes when what is found in the same predictions would."""

HELD = 16
"""Tables that are kept at once: those of a column's best, and of the model beside it."""


@dataclasses.dataclass
class Evidence:
    """Where a board finds per-sample predictions."""

    has: Callable[[Record], bool]
    """Whether a record's predictions are at hand, without reading them."""
    read: Callable[[Record], Table]
    """Raises MissingError or UsageError where they cannot be read after all."""
    memory: Path | None = None
    """File that is read at first and written by `keep`; it may be deleted."""

    _held: dict[str, Table | None] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def _known(self) -> dict[str, Any]:
        try:
            lines = self.memory.read_text(encoding="utf-8").splitlines() if self.memory else []
        except (OSError, UnicodeDecodeError):
            return {}
        found = {}
        for line in lines:
            try:
                key, value = json.loads(line)
            except (ValueError, TypeError):
                continue  # half a line of a process that was killed: found anew
            found[key] = value
        return found

    def remembered(self, what: str, records: Iterable[Record], find: Callable[[], Any]) -> Any:
        """Return what `find` finds in records, a JSON value, from the memory where it was found before."""
        parts = [VERSION, what, *(record.content_digest for record in records)]
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        if key not in self._known:
            self._known[key] = find()
            self._grown = True
        return self._known[key]

    def table(self, record: Record) -> Table | None:
        """Return a record's predictions; None where they cannot be read."""
        digest = record.samples.sha256
        if digest not in self._held:
            if len(self._held) >= HELD:
                del self._held[next(iter(self._held))]
            try:
                self._held[digest] = self.read(record) if self.has(record) else None
            except (MissingError, UsageError):
                self._held[digest] = None
        self._held[digest] = self._held.pop(digest)  # the one that was used last is dropped last
        return self._held[digest]

    def keep(self) -> None:
        """Write the memory, if it has grown."""
        if self.memory and self.__dict__.pop("_grown", False):
            text = "".join(f"{canonical_json([key, value])}\n" for key, value in sorted(self._known.items()))
            write_text(self.memory, text)


def of_results(results: Results, cache: Path) -> Evidence:
    """Return the predictions that lie beside the records of a store, whose content is taken to be the records' own
    (`results.rescore.belied` checks it), with a memory under `cache`."""
    if not (here := results.samples()):
        return NOTHING
    from ssl_bench.results.samples import read

    return Evidence(
        lambda record: record.samples.sha256 in here,
        lambda record: read(results.files, record.samples),
        cache / "told-apart.jsonl",
    )


NOTHING = Evidence(lambda _: False, lambda record: {})
"""What a board knows where records travel without their predictions."""
