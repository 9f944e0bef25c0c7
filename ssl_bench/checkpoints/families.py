"""Find a family of checkpoints by name, and the family that an unknown file is nearest to."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

import ssl_bench.checkpoints
from ssl_bench.checkpoints import keys
from ssl_bench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

MACHINERY = (
    "archives", "families", "keys", "reading", "relative_vit", "resnet", "stand_ins", "torchscript", "vit",
)  # fmt: skip


class Family(Protocol):
    """What a family module holds. It is imported only when a card names it."""

    INPUT: Mapping[str, Any]
    """Fields of `images.InputSpec`: how the authors feed the network."""
    POOLINGS: tuple[str, ...]
    """Global features; the first is the default."""
    CONTAINERS: tuple[str, ...]
    """Branches where the authors keep the backbone: the first that a file has is taken, see `keys.choose_branch`."""
    PREFIXES: tuple[str, ...]
    """Prefixes to strip, in order; see `keys.strip_prefix`."""
    DROPPED: tuple[str, ...]
    """Beginnings of the names that are not the backbone: classifiers, decoders, detection heads."""

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors under the network's own names; `keys.as_named` where the authors' names are these."""
        ...

    def shown_by(self, state: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the arguments of `build` that names and shapes show, such as the depth."""
        ...

    def build(self, **arch: Any) -> nn.Module:
        """Return the untrained network; what shapes do not show, such as the number of heads, is a default here."""
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


def branch_of(family: Family, outer: Mapping[str, Any], where: str, container: str = "") -> dict[str, Tensor]:
    """Return the state dict inside a file: the branch that the card names, else the family's, else the only one."""
    own = (name for name in family.CONTAINERS if keys.has_branch(outer, name))
    return keys.choose_branch(outer, where, container or next(own, ""))


def tensors_of(family: Family, branch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's tensors under the network's own names."""
    return family.renamed(keys.drop(keys.strip_prefix(branch, family.PREFIXES), family.DROPPED))


def arch_of(family: Family, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument of `build`: what is shown or said, and the family's own values of the others."""
    arguments = inspect.signature(family.build).parameters.values()
    own = {each.name: each.default for each in arguments if each.default is not each.empty}
    return {**own, **shown}


def nearest(branch: Mapping[str, Tensor], besides: str) -> str:
    """Return " Its keys fit the family x best (93% in common)…" or "" where none but `besides` fits at all.

    Names and shapes alone do not tell all families apart: those that fit equally well are all named.
    """
    shares = {name: _share(get(name, name), branch) for name in names() if name != besides}
    highest = max(shares.values(), default=0.0)
    if highest < 0.1:
        return ""
    best = [name for name in shares if shares[name] == highest]
    which = f"family {best[0]}" if len(best) == 1 else f"families {', '.join(best)}"
    return f" Its keys fit the {which} best ({highest:.0%} in common): weights.family = {best[0]!r}{_or_other(best)}"


def _or_other(best: list[str]) -> str:
    return ", or another of these, by who trained it" if len(best) > 1 else ""


def _share(family: Family, branch: Mapping[str, Tensor]) -> float:
    """Return how well a file fits a family; 0 where it lacks what the family needs to be built."""
    import torch

    try:
        state = tensors_of(family, branch)
        with torch.device("meta"):
            return keys.overlap(state, family.build(**family.shown_by(state)))
    except (ArithmeticError, AssertionError, IndexError, KeyError, RuntimeError, TypeError, ValueError, UsageError):
        return 0.0
