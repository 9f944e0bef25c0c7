"""File names for names that strangers chose: readable, safe on every file system, and never two names for one file."""

from __future__ import annotations

import hashlib
import re

PLAIN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
"""Lower case only: on some file systems `A` and `a` are one file."""
RESERVED = frozenset({"samples", "con", "prn", "aux", "nul"}) | {
    f"{port}{i}" for port in ("com", "lpt") for i in range(10)
}
"""Our own folder, and the names that Windows keeps for devices."""


def slug(name: str) -> str:
    """Return the file name for `name`: itself where that is safe, else its safe characters, "~" and a digest.

    No plain name holds a "~", so a shortened name can meet neither a plain one nor, but for a collision of 48 bits of
    sha256, another shortened one. `timm:vit_small_patch16_224,size=96` becomes
    `timm_vit_small_patch16_224_size_96~…`.
    """
    stem = name.partition(".")[0]
    if PLAIN.fullmatch(name) and stem not in RESERVED and not name.endswith((".", ".json", ".jsonl")):
        return name
    readable = re.sub(r"[^a-z0-9.-]+", "_", name.lower()).strip("_.-")[:60]
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{readable or 'name'}~{digest}"
