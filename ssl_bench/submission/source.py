"""A bundle as a place of records: what reads a folder of records reads it, too, and nothing can be written."""

from __future__ import annotations

from ssl_bench.results.roots import File, FixedRoot
from ssl_bench.results.store import Results
from ssl_bench.submission import tables
from ssl_bench.submission.bundle import RECORDS, Bundle


class _Samples:
    """The predictions of a bundle, under the names that a store gives them."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        held = bundle.manifest.members
        self._names = {f"samples/{name[8:10]}/{name[8:]}": name for name in held if name.startswith("samples/")}

    def sample_files(self) -> dict[str, File]:
        held = self._bundle.manifest.members
        return {name: File(held[own].bytes, held[own].sha256, 0.0) for name, own in sorted(self._names.items())}

    def stamp(self, name: str) -> str:
        return self._bundle.manifest.members[self._names[name]].sha256 if name in self._names else ""

    def read(self, name: str) -> bytes:
        if name not in self._names:
            raise FileNotFoundError(name)
        own = self._names[name]
        content = self._bundle.contents[own]
        tables.read(content, f"{self._bundle.where}: {own}", self._bundle.limits)  # a store opens it in its own process
        return content


def results(bundle: Bundle) -> Results:
    """Return the records of a bundle with their predictions."""
    return Results(FixedRoot(bundle.where, {RECORDS: bundle.contents[RECORDS]}, _Samples(bundle)))
