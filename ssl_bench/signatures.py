"""Who hands a bundle in, or vouches for it: an SSH signature, made and checked by `ssh-keygen` (OpenSSH 8.1 or later).

A signature is over bytes in a namespace, so that what was signed for one purpose is worth nothing for another. Who may
sign is OpenSSH's list (`man ssh-keygen`, ALLOWED SIGNERS), a line each:
`name@lab namespaces="ssl-bench.verification" ssh-ed25519 AAAA…`
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from ssl_bench.errors import MissingError, UsageError

NAMESPACE = "ssl-bench"
"""Of what a submitter signs."""
LONGEST = 2**16
"""Bytes of a signature; one by a key of 16,384 bits has 6,000."""


def sign(content: bytes, key: Path, namespace: str = NAMESPACE) -> bytes:
    """Return the signature of `content` by an SSH key: a private key's file, or a public one's that an agent holds.

    Raises MissingError where ssh-keygen or the key is not there, UsageError where it does not sign.
    """
    if not key.is_file():
        raise MissingError(f"no SSH key is at {key}")
    done = _keygen("sign", namespace, "-f", str(key), given=content)
    if done.returncode or not done.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise UsageError(f"ssh-keygen does not sign with {key}: {_readable(done.stderr)}")
    return done.stdout


def signer(content: bytes, signature: bytes) -> str:
    """Return the fingerprint of the key that signed `content`, whoever holds it; raise UsageError for no signature of
    it."""
    with tempfile.TemporaryDirectory() as folder:
        done = _keygen("check-novalidate", NAMESPACE, "-s", str(_kept(folder, "signature", signature)), given=content)
    words = _readable(done.stdout)
    if done.returncode or "SHA256:" not in words:
        raise UsageError("the signature is not one of this content in the namespace ssl-bench")
    return "SHA256:" + words.partition("SHA256:")[2].split()[0]


def verify(content: bytes, signature: bytes, identity: str, allowed: Path, namespace: str = NAMESPACE) -> None:
    """Raise UsageError unless `identity` signed `content` with a key that the file `allowed` has for them, a file of
    "allowed signers" as `man ssh-keygen` tells; MissingError where that file or ssh-keygen is not there."""
    if not allowed.is_file():
        raise MissingError(f"no file of allowed signers is at {allowed}")
    with tempfile.TemporaryDirectory() as folder:
        place = str(_kept(folder, "signature", signature))
        words = ("-f", str(allowed.resolve()), "-I", identity, "-s", place)
        done = _keygen("verify", namespace, *words, given=content)
    if done.returncode:
        raise UsageError(f"the signature is not one by {_readable(identity)!r}, as {allowed} knows them")


def _kept(folder: str, name: str, content: bytes) -> Path:
    if len(content) > LONGEST:
        raise UsageError(f"the signature has {len(content):,} bytes, more than {LONGEST:,}")
    path = Path(folder) / name
    path.write_bytes(content)
    return path


def _readable(said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return "".join(char if char.isprintable() else "�" for char in text.strip())[:200]


def _keygen(act: str, namespace: str, *words: str, given: bytes) -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise MissingError("signatures need the program ssh-keygen, which is not installed (package openssh-client)")
    command = [program, "-Y", act, "-n", namespace, *words]
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)
