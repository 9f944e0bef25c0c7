"""Families of checkpoint files: a module each, found by its name, and the family that an unknown file is nearest to.

A module has the shape that `Family` describes; the next is written by copying the nearest, with a layout of its files
in `tests/checkpoints/` and, where the authors' code can be run, a case in `benchmarks/family_parity/`.
"""

from __future__ import annotations

import collections
import dataclasses
import importlib
import inspect
import pkgutil
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from ssl_bench.checkpoints import keys
from ssl_bench.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

LEAST = 0.1
"""Share of names and shapes below which a file is not said to fit a family."""
TEXT = ("word_embeddings", "tok_embeddings", "embed_tokens", "token_embedding", "wte.weight", "shared.weight")
"""Parts of names that only models of text have."""
UNFIT = (
    ArithmeticError, AssertionError, AttributeError, IndexError, KeyError, RuntimeError, StopIteration, TypeError,
    UsageError, ValueError,
)  # fmt: skip
"""What a family raises that is asked for a network which a foreign file does not show."""


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
    found = (module.name for module in pkgutil.iter_modules(__path__))
    return tuple(sorted(found))


def get(name: str, where: str) -> Family:
    """Return the family called `name`; raise UsageError that names the nearest ones."""
    if name not in names():
        said = f"no checkpoint family is called {name!r}" if name else "no checkpoint family is named"
        raise UsageError(
            f"{where}: {said}.{did_you_mean(name, names())} weights.family is one of: {', '.join(names())}"
        )
    return cast(Family, importlib.import_module(f"{__name__}.{name}"))


@dataclasses.dataclass(frozen=True)
class Taken:
    """What a family takes of a file, and what it leaves there."""

    tensors: dict[str, Tensor]
    """The backbone's tensors under the network's own names."""
    container: str = ""
    """The branch of the file that was taken; empty for the outermost dictionary."""
    others: tuple[str, ...] = ()
    """Further branches of the file that hold a state dict, such as a moving average of the weights."""
    prefixes: tuple[str, ...] = ()
    """The prefixes that names had."""
    left: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Beginnings of names that are not the backbone, and how many tensors each has."""


def take(family: Family, outer: Mapping[str, Any], where: str, container: str = "", prefix: str = "") -> Taken:
    """Return the backbone's tensors in a file, and what was done to find them.

    `container` names the branch, and `prefix` what stands before the names that the family's authors use.
    """
    named = keys.name_branch(outer, where, _container(family, outer, container))
    others = tuple(name for name in keys.CONTAINERS if name != named and keys.has_branch(outer, name))
    taken = _taken(family, keys.choose_branch(outer, where, named), where, prefix)
    return dataclasses.replace(taken, container=named, others=others)


def branch_of(family: Family, outer: Mapping[str, Any], where: str, container: str = "") -> dict[str, Tensor]:
    """Return the state dict inside a file: the branch that the card names, else the family's, else the only one."""
    return keys.choose_branch(outer, where, _container(family, outer, container))


def _container(family: Family, outer: Mapping[str, Any], container: str) -> str:
    """Return the branch that the card names, else the first of the family's that is there, else ""."""
    own = (name for name in family.CONTAINERS if keys.has_branch(outer, name))
    return container or next(own, "")


def tensors_of(family: Family, branch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's tensors under the network's own names."""
    return _taken(family, branch, "").tensors


def _taken(family: Family, branch: Mapping[str, Tensor], where: str, first: str = "") -> Taken:
    """Unwrap, strip, drop and rename a branch, and note what was stripped and left."""
    whole = keys.unwrap(branch, where)
    if not any(key.startswith(first) for key in whole):
        raise UsageError(f"{where}: no name begins with {first!r}. Names begin with: {', '.join(beginnings(whole))}")
    prefixes = [name for prefix in (first, *family.PREFIXES) if (name := keys.unwrapped(prefix))]
    kept, names = whole, {key: key for key in whole}  # names: what remains of a name, to the name in the file
    found = []
    for prefix in prefixes:
        if any(key.startswith(prefix) for key in kept):
            found.append(prefix)
            kept = keys.strip_prefix(kept, (prefix,))
            names = {key: names[prefix + key] for key in kept}
    kept = keys.drop(kept, [keys.unwrapped(start) for start in family.DROPPED])
    left = beginnings(set(whole) - {names[key] for key in kept})
    return Taken(family.renamed(kept), prefixes=tuple(found), left=left)


def beginnings(left: Iterable[str]) -> dict[str, int]:
    """Return the first parts of names ("head" of "head.weight", "params/txt" of JAX's), and how many have each."""
    firsts = ("/".join(name.partition(".")[0].split("/")[:2]) for name in sorted(left))
    return dict(collections.Counter(firsts))


def arch_of(family: Family, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return every argument of `build`: what is shown or said, and the family's own values of the others."""
    arguments = inspect.signature(family.build).parameters.values()
    own = {each.name: each.default for each in arguments if each.default is not each.empty}
    return {**own, **shown}


def shares(outer: Mapping[str, Any], container: str = "") -> dict[str, float]:
    """Return how well a file fits each family, best first: of names and shapes, the share in common."""
    found = {name: _share(get(name, name), outer, container) for name in names()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def nearest(outer: Mapping[str, Any], besides: str, container: str = "") -> str:
    """Return " Its keys fit the family x best (93% in common)…", or what the file seems to be where none fits.

    Names and shapes alone do not tell all families apart: those that fit equally well are all named. Nothing is said
    where no other family fits better than `besides`, the one that did not do.
    """
    fits = shares(outer, container)
    own = fits.pop(besides, 0.0)
    highest = max(fits.values(), default=0.0)
    if highest < 1 and (prefix := _fitting_prefix(besides, outer, container)):
        return f" Without their first part the names fit: weights.prefix = {prefix!r}"
    if max(own, highest) < LEAST:
        return f" {seems(outer, container)}"
    if own >= highest:
        return ""
    best = _native_first(name for name in fits if fits[name] == highest)
    which = f"family {best[0]}" if len(best) == 1 else f"families {', '.join(best)}"
    return f" Its keys fit the {which} best ({highest:.0%} in common): weights.family = {best[0]!r}{_or_other(best)}"


def _fitting_prefix(name: str, outer: Mapping[str, Any], container: str) -> str:
    """Return the beginning of names, such as "model.", without which a file fits a family; "" where there is none."""
    if name not in names():
        return ""
    family = get(name, name)
    try:
        firsts = beginnings(keys.unwrap(branch_of(family, outer, "", container), ""))
    except UsageError:
        return ""
    often = sorted(firsts, key=lambda first: -firsts[first])[:4]
    return next((f"{first}." for first in often if _share(family, outer, container, f"{first}.") == 1), "")


def _native_first(found: Iterable[str]) -> list[str]:
    """Return families, those first whose authors' names are the network's own: a file that fits needed no renaming."""
    return sorted(found, key=lambda name: (get(name, name).renamed is not keys.as_named, name))


def _or_other(best: list[str]) -> str:
    return ", or another of these, by who trained it" if len(best) > 1 else ""


def told_apart(best: Sequence[str], outer: Mapping[str, Any], container: str = "") -> list[dict[str, Any]]:
    """Return, for families that a file fits, what each is and what in network and input is not the same for all."""
    facts = {}
    for name in best:
        family = get(name, name)
        state = tensors_of(family, branch_of(family, outer, name, container))
        arch = arch_of(family, family.shown_by(state))
        facts[name] = {**arch, **family.INPUT, "pooling": family.POOLINGS[0]}
    every = {key for each in facts.values() for key in each}
    differ = [key for key in sorted(every) if len({repr(each.get(key)) for each in facts.values()}) > 1]
    return [
        {"family": name, "what": _title(name), "own": {key: each[key] for key in differ if key in each}}
        for name, each in facts.items()
    ]


def _title(name: str) -> str:
    """Return what a family's module says that it is, up to the first stop or bracket."""
    text = inspect.getdoc(importlib.import_module(f"ssl_bench.checkpoints.families.{name}")) or ""
    return re.split(r"\.(?:\s|$)| \(", text)[0]


def seems(outer: Mapping[str, Any], container: str = "") -> str:
    """Return a sentence on what a file seems to be that fits no family."""
    try:
        branch = keys.choose_branch(outer, "", container)
    except UsageError:
        return "No family fits it."
    text = next((name for name in branch if any(word in name for word in TEXT)), "")
    if not any(tensor.ndim in (4, 5) for tensor in branch.values()):
        seen = f"its names are those of a text model ({text})" if text else "a model of text, sound, tables or time?"
        return f"No family fits it, and no tensor has the four axes of a layer that takes images: {seen}"
    return "No family fits it; how one is written: ssl_bench/checkpoints/families/__init__.py"


def _share(family: Family, outer: Mapping[str, Any], container: str, prefix: str = "") -> float:
    """Return how well a file fits a family; 0 where it lacks what the family needs to be built."""
    import torch

    try:
        state = take(family, outer, "", container, prefix).tensors
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of layers without width, which is what a foreign file shows
            return keys.overlap(state, family.build(**family.shown_by(state)))
    except UNFIT:
        return 0.0
