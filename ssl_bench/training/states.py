"""The state of a run on disk: whole or absent, of one recipe, and read without running what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ssl_bench.errors import UsageError, reason
from ssl_bench.files import atomic_write


def write(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Put a state (tensors and plain values) in the place of the one before; raise MissingError where it cannot be."""
    import torch

    with atomic_write(path) as file:
        torch.save({"identity": identity, **state}, file)


def read(path: Path, identity: str) -> dict[str, Any] | None:
    """Return the state at `path`, on the CPU, or None where there is none.

    Raises UsageError where it is of another recipe, or is no state.
    """
    import torch

    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["identity"]
    except Exception as error:  # whatever a damaged file makes of the reader
        raise UsageError(
            f"{path} holds no state of a training run ({reason(error)}); remove it to begin anew"
        ) from error
    if found != identity:
        raise UsageError(
            f"{path} is the state of a run with another recipe, data or seed, from which this one cannot go on; "
            "remove it to begin anew"
        )
    return state
