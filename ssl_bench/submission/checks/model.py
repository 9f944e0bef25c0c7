"""Whether all records are of one model, whose features were made in one way."""

from __future__ import annotations

from collections.abc import Iterator

from ssl_bench.files import canonical_json
from ssl_bench.results.questions import differing, flat
from ssl_bench.submission.checks.base import Case, where
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.limits import readable


def findings(case: Case) -> Iterator[Finding]:
    """Give records of other weights than the first, and, in the closed division, of features made otherwise."""
    first = case.bundle.records[0]
    own = (first.model.name, first.model.weights_digest, canonical_json(first.model.arch))
    features = canonical_json(first.features.resolved)
    for record in case.bundle.records:
        if (record.model.name, record.model.weights_digest, canonical_json(record.model.arch)) != own:
            what = f"the record is of another network than that of {where(first)}"
            yield Finding("model-differs", where(record), what, "Hand in one bundle per network")
        elif case.closed and canonical_json(record.features.resolved) != features:
            both = [flat(dict(one.features.resolved)) for one in (first, record)]
            keys = ", ".join(readable(key) for key in differing(both))
            what = f"features were made otherwise than for {where(first)}: {keys}"
            mend = "The closed division asks for one way of making features for all tasks"
            yield Finding("features-differ", where(record), what, mend)
