"""Sketches of the features behind records, from the cache that the records were measured with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ssl_bench import cards
from ssl_bench.datasets import index
from ssl_bench.extraction import Spec
from ssl_bench.features import FeatureStore
from ssl_bench.images import InputSpec
from ssl_bench.results.record import Record
from ssl_bench.settings import Settings
from ssl_bench.submission import sketch
from ssl_bench.submission.sketch import Sketch
from ssl_bench.tasks import TaskCard

Extract = Callable[[Record], None]
"""Puts the features of a record's test split into the cache."""


def nothing(record: Record) -> None:
    """Extract nothing: the network is not here."""


def spec_of(record: Record) -> Spec:
    """Return what caused a record's features."""
    resolved = record.features.resolved
    return Spec(
        weights_digest=record.model.weights_digest,
        arch=record.model.arch,
        input=cards.from_table(InputSpec, resolved["input"], "features.resolved.input"),
        pooled=resolved["pooled"],
        precision=resolved["precision"],
    )


def sketches(
    records: Sequence[Record], tasks: Mapping[str, TaskCard], settings: Settings, extract: Extract = nothing
) -> dict[str, Sketch]:
    """Return the sketch of every test split behind the records, by its name in a bundle; none of those whose features
    are neither in the cache nor extracted.

    Raises MissingError where data is not there.
    """
    store, found = FeatureStore(settings.cache), {}
    for record in records:
        name = sketch.name(record)
        if record.model.embed_dim and record.task.name in tasks and name not in found:
            card = tasks[record.task.name]
            digests = index.build(card, settings.data, settings.cache).digests["test"]
            spec = spec_of(record)
            if store.missing(spec, digests):
                extract(record)
            if not store.missing(spec, digests):
                found[name] = sketch.make(store.rows(spec, digests)[:], digests)
    return found
