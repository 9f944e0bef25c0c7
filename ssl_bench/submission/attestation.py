"""What was made of what, and how: an in-toto statement with a provenance of SLSA's form, to be signed.

Statement and predicate are those of https://in-toto.io/Statement/v1 and https://slsa.dev/provenance/v1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.results.record import Record
from ssl_bench.submission.manifest import Asked, Harness, Held

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD = "https://github.com/ssl-bench/ssl-bench/blob/main/docs/submitting.md"
ITSELF = ("manifest.json", "attest.json", "attest.json.sig")


def subjects(members: Mapping[str, Held]) -> list[dict[str, Any]]:
    """Return what a statement says of a bundle's members: every one but the statement and what rests on it."""
    return [
        {"digest": {"sha256": held.sha256}, "name": name}
        for name, held in sorted(members.items())
        if name not in ITSELF
    ]


def statement(
    members: Mapping[str, Held], records: Sequence[Record], suite: Asked, harness: Harness, invocation: Sequence[str]
) -> bytes:
    """Return the statement as one line of JSON: these members were made of these weights and tasks by this command."""
    materials = {("weights", one.model.name, one.model.weights_digest) for one in records}
    materials |= {("task", one.task.name, one.task.digest) for one in records}
    body = {
        "_type": STATEMENT,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {
                    "invocation": list(invocation),
                    "suite": {"digest": suite.digest, "name": suite.name, "version": suite.version},
                },
                "resolvedDependencies": [
                    {"digest": {"sha256": digest}, "name": f"{kind}/{name}"} for kind, name, digest in sorted(materials)
                ],
            },
            "runDetails": {"builder": {"id": f"ssl-bench {harness.version}", "version": {"code": harness.code}}},
        },
        "predicateType": PREDICATE,
        "subject": subjects(members),
    }
    return canonical_json(body).encode()
