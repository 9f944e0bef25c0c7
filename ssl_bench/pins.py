"""What a downloaded file must be, and whether it is that: its size, a checksum, and not a web page in its place."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

from ssl_bench.progress import Progress

LARGE = 500_000_000
"""Bytes from which verifying takes long enough to be shown."""
UNITS = 1e6
"""Progress counts megabytes."""


class WrongFileError(Exception):
    """What an address gives is not the file that was asked for."""


@dataclasses.dataclass(frozen=True)
class Pin:
    """What a file must be; what is empty is not known."""

    sha256: str = ""
    md5: str = ""
    size: int = 0
    """Bytes."""

    @property
    def checksum(self) -> str:
        """The name of the checksum that is known, or ""."""
        return "sha256" if self.sha256 else "md5" if self.md5 else ""


def verify(part: Path, url: str, pin: Pin, progress: Progress, label: str) -> None:
    """Raise WrongFileError unless the file is the one that was asked for."""
    found = part.stat().st_size
    wrong = f"has {found:,} bytes, not {pin.size:,}" if pin.size and found != pin.size else ""
    if not wrong and pin.checksum:
        digest, wanted = _digest(part, pin.checksum, progress, label), getattr(pin, pin.checksum)
        wrong = "" if digest == wanted else f"does not have the {pin.checksum} {wanted} but {digest}"
    if not wrong:
        return
    if _is_page(part):
        raise WrongFileError(f"{url} gives a web page, not the file: it has moved, or asks for a login")
    raise WrongFileError(f"the file from {url} {wrong}, which its card pins")


def _digest(part: Path, kind: str, progress: Progress, label: str) -> str:
    """Return a checksum; of a large file progress is shown."""
    digest = hashlib.new(kind, usedforsecurity=False)
    shown = progress if part.stat().st_size >= LARGE else Progress()
    with (
        part.open("rb") as file,
        shown.track(f"verifying {label}", round(part.stat().st_size / UNITS), "MB") as advance,
    ):
        read = 0
        while block := file.read(1 << 22):
            digest.update(block)
            advance(int((read + len(block)) / UNITS) - int(read / UNITS))
            read += len(block)
    return digest.hexdigest()


def _is_page(part: Path) -> bool:
    with part.open("rb") as file:
        return bool(re.match(rb"\s*(<!--.*?-->\s*)?<(!doctype html|html)", file.read(512), re.IGNORECASE | re.DOTALL))
