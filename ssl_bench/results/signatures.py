"""SSH signatures: made with a key that its owner has for git anyway, checked against a list of those who may sign.

A list of signers is OpenSSH's (`man ssh-keygen`, ALLOWED SIGNERS), a line each:
`name@lab namespaces="ssl-bench.verification" ssh-ed25519 AAAA…`
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import write_text
from ssl_bench.results.verifications import Verification

NAMESPACE = "ssl-bench.verification"
"""What is signed; a signature of another namespace, such as git's, is refused."""


def sign(text: str, key: Path, namespace: str = NAMESPACE) -> str:
    """Return the signature of `text` by a private key, or by a public one whose other half ssh-agent holds.

    Raises MissingError where there is no key or no ssh-keygen, UsageError for what ssh-keygen refuses.
    """
    if not key.is_file():
        raise MissingError(f"no SSH key is at {key}; `ssh-keygen -t ed25519 -f {key}` makes one")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "text"
        place.write_text(text, encoding="utf-8")
        done = _keygen("sign", "-q", "-f", str(key), "-n", namespace, str(place))
        if done.returncode:
            raise UsageError(f"{key} cannot sign: {_one_line(done.stderr)}")
        return place.with_name("text.sig").read_text(encoding="ascii")


def refusal(text: str, signature: str, signer: str, allowed: Path, namespace: str = NAMESPACE) -> str:
    """Return why a signature of `text` does not count as `signer`'s, or "" where it does.

    Raises MissingError where there is no ssh-keygen or no list of signers.
    """
    if not signature:
        return "it is not signed"
    if not allowed.is_file():
        raise MissingError(f"no list of signers is at {allowed}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "signature"
        place.write_text(signature, encoding="utf-8")
        words = ("-f", str(allowed), "-I", signer, "-n", namespace, "-s", str(place))
        done = _keygen("verify", *words, given=text.encode("utf-8", "surrogatepass"))
    return _one_line(done.stderr + done.stdout) or "the signature is refused" if done.returncode else ""


def _keygen(what: str, *words: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingError("signatures need ssh-keygen, which is part of OpenSSH (8.1 or newer); install it")
    return subprocess.run([program, "-Y", what, *words], input=given or b"", capture_output=True, check=False)


def _one_line(said: bytes) -> str:
    text = said.decode("utf-8", "replace").strip().splitlines()
    return "".join(char for char in (text[-1] if text else "") if char.isprintable())[:200]


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
    new = {
        digest
        for digest, one in asked.items()
        if digest not in good and not refusal(one.signed_text, one.signature, one.verifier, allowed)
    }
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
