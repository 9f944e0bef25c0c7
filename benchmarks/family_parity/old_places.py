"""What authors' code imports and current libraries have dropped."""

from __future__ import annotations

import sys
import types


def dropped_places() -> None:
    """Put back places of timm and torch that authors' code names."""
    import numpy as np
    import timm.layers
    import timm.models.vision_transformer as vits

    np.float = float  # type: ignore[attr-defined]
    vits._cfg = lambda **given: given
    sys.modules["timm.models.layers"] = timm.layers
    sys.modules["timm.models.registry"] = sys.modules["timm.models._registry"]
    sys.modules["torch._six"] = types.ModuleType("torch._six")
    sys.modules["torch._six"].inf = float("inf")  # type: ignore[attr-defined]


def bare_models() -> None:
    """Let the clone's package `models` be imported without its __init__, and its logger be absent."""
    package = types.ModuleType("models")
    package.__path__ = [f"{sys.path[0]}/models"]
    sys.modules["models"] = package
    sys.modules["tensorboardX"] = types.ModuleType("tensorboardX")
    sys.modules["tensorboardX"].SummaryWriter = None  # type: ignore[attr-defined]


def absent(*names: str) -> None:
    """Let packages be imported of which nothing is used."""
    for name in names:
        sys.modules.setdefault(name, types.ModuleType(name))
