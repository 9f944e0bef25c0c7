"""Signatures by SSH keys, made and checked by OpenSSH itself."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ssl_bench import signatures
from ssl_bench.errors import MissingError, UsageError

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="OpenSSH is not installed")


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def test_a_signature_is_of_one_content_by_one_key(tmp_path: Path) -> None:
    """A signature tells its key's fingerprint, and is worth nothing for another content or another name."""
    key, other = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    signature = signatures.sign(b"content", key)
    said = subprocess.run(["ssh-keygen", "-lf", f"{key}.pub"], check=True, capture_output=True, text=True).stdout
    assert signatures.signer(b"content", signature) == said.split()[1]
    with pytest.raises(UsageError, match="not one of this content"):
        signatures.signer(b"another", signature)
    allowed = tmp_path / "allowed"
    allowed.write_text(f'lab@example.org namespaces="ssl-bench" {Path(f"{key}.pub").read_text()}')
    signatures.verify(b"content", signature, "lab@example.org", allowed)
    for content, who in ((b"another", "lab@example.org"), (b"content", "else@example.org")):
        with pytest.raises(UsageError, match="not one by"):
            signatures.verify(content, signature, who, allowed)
    with pytest.raises(UsageError, match="not one by"):
        signatures.verify(b"content", signatures.sign(b"content", other), "lab@example.org", allowed)


def test_a_signature_for_another_purpose_is_none(tmp_path: Path) -> None:
    """What somebody signed for git or mail does not pass for a submission."""
    key = make_key(tmp_path / "key")
    done = subprocess.run(
        ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(key)],
        input=b"content",
        capture_output=True,
        check=True,
    )
    with pytest.raises(UsageError, match="namespace ssl-bench"):
        signatures.signer(b"content", done.stdout)


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a key, or without ssh-keygen, one line says what is missing."""
    with pytest.raises(MissingError, match="no SSH key is at"):
        signatures.sign(b"content", tmp_path / "none")
    key = make_key(tmp_path / "key")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingError, match="ssh-keygen, which is not installed"):
        signatures.sign(b"content", key)
