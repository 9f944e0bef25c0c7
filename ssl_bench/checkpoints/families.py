"""Find a family of checkpoints by name, and the family that an unknown file is nearest to."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import ssl_bench.checkpoints
from ssl_bench.checkpoints import keys
from ssl_bench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

MACHINERY = ("families", "keys", "reading")


class Family(Protocol):
    """What a family module holds. It is imported only when a card names it."""

    INPUT: Mapping[str, Any]
    """Fields of `images.InputSpec`: how the authors feed the network."""
    POOLINGS: tuple[str, ...]
    """Global features; the first is the default."""
    PREFIXES: tuple[str, ...]
    """Prefixes to strip, in order; see `keys.strip_prefix`."""
    DROPPED: tuple[str, ...]
    """Beginnings of the names that are not the backbone: classifiers, decoders, detection heads."""

    def shown_by(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the arguments of `build` that names and shapes show, such as the depth."""
        ...

    def build(self, **arch: Any) -> nn.Module:
        """Return the untrained network."""
        ...

    def features(self, network: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Return every pooling (images, dim) and, where there is one, "dense" (images, dim, height, width)."""
        ...


def names() -> tuple[str, ...]:
    """Return the families that there are."""
    found = (module.name for module in pkgutil.iter_modules(ssl_bench.checkpoints.__path__))
    return tuple(sorted(name for name in found if name not in MACHINERY))


def get(name: str, where: str) -> Family:
    """Return the family called `name`; raise UsageError that names the nearest ones."""
    if name not in names():
        said = f"no checkpoint family is called {name!r}" if name else "no checkpoint family is named"
        raise UsageError(
            f"{where}: {said}.{did_you_mean(name, names())} weights.family is one of: {', '.join(names())}"
        )
    return cast(Family, importlib.import_module(f"ssl_bench.checkpoints.{name}"))


def tensors_of(family: Family, branch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's tensors under the network's own names."""
    return keys.drop(keys.strip_prefix(branch, family.PREFIXES), family.DROPPED)


def nearest(branch: Mapping[str, Tensor], besides: str) -> str:
    """Return " Its keys fit the family x best (93 % in common)." or "" where none but `besides` fits at all."""
    shares = {name: _share(get(name, name), branch) for name in names() if name != besides}
    best = max(shares, key=lambda name: shares[name], default="")
    if not best or shares[best] < 0.1:
        return ""
    return f" Its keys fit the family {best} best ({shares[best]:.0%} in common): weights.family = {best!r}"


def _share(family: Family, branch: Mapping[str, Tensor]) -> float:
    """Return how well a file fits a family; 0 where it lacks what the family needs to be built."""
    state = tensors_of(family, branch)
    try:
        return keys.overlap(state, family.build(**family.shown_by(state)))
    except (KeyError, ValueError, UsageError):
        return 0.0
