"""Whether the bundle's parts belong to each other: attestation, signature, harness and size."""

from __future__ import annotations

from collections.abc import Iterator

from ssl_bench import signatures
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.submission.attestation import subjects
from ssl_bench.submission.bundle import ATTEST
from ssl_bench.submission.checks.base import Case
from ssl_bench.submission.findings import Finding

MOST = 2**28
"""Bytes of a bundle that a round takes: VTAB's 19 tasks by two protocols are 30 MB."""


def findings(case: Case) -> Iterator[Finding]:
    """Give an attestation of other things, a signature of another content, other code, and what is too large."""
    bundle = case.bundle
    total = sum(one.bytes for one in bundle.manifest.members.values())
    if total > MOST:
        yield Finding("too-large", "manifest.json", f"{total:,} bytes, more than {MOST:,}", "Ask the board for more")
    if bundle.attestation.get("subject") != subjects(bundle.manifest.members):
        what = "it is a statement about other members than these"
        yield Finding("attestation-differs", ATTEST, what, "Make the bundle with `ssl-bench submit`")
    if bundle.signature is not None:
        try:
            signatures.signer(bundle.contents[ATTEST], bundle.signature)
        except UsageError as error:
            yield Finding("signature-wrong", ATTEST, str(error), "Sign again with `ssl-bench submit --sign KEY`")
        except MissingError as error:
            yield Finding(
                "signature-unchecked", ATTEST, str(error), "Nothing to mend; whoever has ssh-keygen checks it"
            )
    if case.known.harness not in ("", bundle.manifest.harness.code):
        what = f"the bundle was made by other code ({bundle.manifest.harness.code[:12]}) than validates it"
        yield Finding("harness-differs", "manifest.json: harness", what, "Use the release that the round names")
