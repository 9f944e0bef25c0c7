"""Whose verifications are believed: those that somebody on a list of signers signed in their own name."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from ssl_bench import signatures
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import write_text
from ssl_bench.results.verifications import Verification

NAMESPACE = "ssl-bench.verification"
"""What a verifier's signature is for; a submitter's, or git's, is worth nothing here."""


def signed(verification: Verification, key: Path | None) -> Verification:
    """Return a verification with the signature of a key, or as it is without one; see `signatures.sign`."""
    if key is None:
        return verification
    signature = signatures.sign(verification.signed_text.encode(), key, NAMESPACE)
    return dataclasses.replace(verification, signature=signature.decode("ascii"))


def refusal(one: Verification, allowed: Path) -> str:
    """Return why a verification's signature does not count, or "" where it does; see `signatures.verify`."""
    if not one.signature:
        return "it is not signed"
    try:
        signatures.verify(one.signed_text.encode(), one.signature.encode(), one.verifier, allowed, NAMESPACE)
    except UsageError as error:
        return str(error)
    return ""


def signed_by_known(found: Iterable[Verification], allowed: Path, memory: Path) -> frozenset[str]:
    """Return the content digests of the verifications whose signature is that of an allowed signer.

    `memory` is a file of what was found good under which list, which may be deleted: a board of a thousand entries
    does not ask ssh-keygen a thousand times.
    """
    if not allowed.is_file():
        raise MissingError(f"no list of signers is at {allowed}; the one of this board is leaderboard/verifiers")
    under = hashlib.sha256(allowed.read_bytes()).hexdigest()
    known = _remembered(memory)
    good = known.get(under, frozenset())
    asked = {one.content_digest: one for one in found if one.signature}
    new = {digest for digest, one in asked.items() if digest not in good and not refusal(one, allowed)}
    if new:
        write_text(memory, "".join(f"{under} {digest}\n" for digest in sorted(good | new)))
    return frozenset(asked.keys() & (good | new))


def _remembered(memory: Path) -> Mapping[str, frozenset[str]]:
    """Return list of signers to what was found good under it."""
    if not memory.is_file():
        return {}
    pairs = [line.split() for line in memory.read_text(encoding="ascii", errors="replace").splitlines()]
    found: dict[str, set[str]] = {}
    for pair in pairs:
        if len(pair) == 2:
            found.setdefault(pair[0], set()).add(pair[1])
    return {under: frozenset(digests) for under, digests in found.items()}
