"""Files of `ssl-bench model convert`: a backbone's tensors under the network's own names, and what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import UsageError
from ssl_bench.files import atomic_write, canonical_json

if TYPE_CHECKING:
    from torch import Tensor

ENTRY = "ssl_bench"
"""The entry of a safetensors file's metadata that holds the note."""


def write(path: Path, tensors: Mapping[str, Tensor], family: str, arch: Mapping[str, Any], source: str) -> None:
    """Write tensors in the precision that they have, with family, arguments of `build`, and the source's sha256.

    Equal tensors and notes give equal bytes. Raises MissingError where the file cannot be written.
    """
    from safetensors.torch import save

    note = canonical_json({"family": family, "arch": arch, "source_sha256": source})
    # safetensors takes no two tensors of one storage
    content = save({name: tensor.clone().contiguous() for name, tensor in tensors.items()}, {ENTRY: note})
    with atomic_write(path) as file:
        file.write(content)


def read_note(path: Path) -> dict[str, Any]:
    """Return {"family", "arch", "source_sha256"} of a converted file, or {} for every other file.

    Raises UsageError for a note that lacks one of these.
    """
    from safetensors import SafetensorError, safe_open

    with path.open("rb") as file:
        if file.read(9)[8:] != b"{":
            return {}
    try:
        with safe_open(path, framework="pt") as opened:
            text = (opened.metadata() or {}).get(ENTRY, "")
        note = json.loads(text) if text else {}
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UsageError(f"{path} says in its metadata what cannot be read: {error}") from error
    if note and not (isinstance(note, dict) and isinstance(note.get("arch"), dict) and "family" in note):
        raise UsageError(f"{path} lacks in its metadata the family or its arguments; convert it again")
    return dict(note)
