"""From the tensors of a file to the tensors of a network: one branch, one prefix, then a strict load."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ssl_bench.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

CONTAINERS = (
    "state_dict", "model", "model_state_dict", "teacher", "target_encoder", "network", "module", "resnet",
    "model_ema", "state_dict_ema", "ema", "ema_state_dict",
)  # fmt: skip
"""Names under which training codes keep the state dict."""
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"})
"""Parts of names that come from a wrapper around a network or a block: parallel, compiled, sharded, checkpointed."""
COUNTERS = "num_batches_tracked"
"""Batch norm's step counter, which files from before 2018 lack and which changes no feature."""


def choose_branch(outer: Mapping[str, Any], where: str, container: str = "") -> dict[str, Tensor]:
    """Return the state dict inside a checkpoint's outermost dictionary; see `name_branch`."""
    branch: Any = outer
    container = name_branch(outer, where, container)
    for level in container.split(".") if container else ():
        if not isinstance(branch, Mapping) or level not in branch:
            raise UsageError(f"{where}: there is no branch {container!r}. The file holds: {_some(branch)}")
        branch = branch[level]
    if not isinstance(branch, Mapping) or not _tensors(branch):
        raise UsageError(f"{where}: the branch {container or 'taken'!r} holds no tensors, only {_some(branch)}")
    return _tensors(branch)


def name_branch(outer: Mapping[str, Any], where: str, container: str = "") -> str:
    """Return the name of the state dict inside a checkpoint's outermost dictionary; "" for the dictionary itself.

    `container` names the branch, with dots between levels ("classy_state_dict.base_model.model.trunk"). Without it, a
    dictionary of tensors is taken itself, else the one branch with a usual name; two of them are an error, because an
    average of weights and the weights themselves give different numbers.
    """
    if container or _tensors(outer):
        return container
    found = [name for name in CONTAINERS if isinstance(outer.get(name), Mapping)]
    if len(found) != 1:
        which = f"several state dicts ({', '.join(found)})" if found else f"no state dict, only {_some(outer)}"
        raise UsageError(f"{where}: the file holds {which}. Say which branch: weights.container = ...")
    return found[0]


def has_branch(outer: Mapping[str, Any], container: str) -> bool:
    """True where the file holds a dictionary under this name, with dots between levels."""
    branch: Any = outer
    for level in container.split("."):
        if not isinstance(branch, Mapping) or level not in branch:
            return False
        branch = branch[level]
    return isinstance(branch, Mapping)


def as_named(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors as they are: the rename of families whose names are the network's own."""
    return dict(state)


def unwrapped(name: str) -> str:
    """Return a name, or the beginning of one, without the parts that wrappers add, wherever they stand."""
    *parts, last = name.split(".")
    return ".".join([*(part for part in parts if part not in WRAPPERS), last])


def unwrap(state: Mapping[str, Tensor], where: str) -> dict[str, Tensor]:
    """Return the tensors under names without the parts of wrappers; raise UsageError where two names become one."""
    found: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if found.setdefault(unwrapped(key), tensor) is not tensor:
            raise UsageError(f"{where}: the file holds {unwrapped(key)} twice, once as {key}; keep one of them")
    return found


def renamed_by(rules: Iterable[tuple[str, str]], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors with each rule, a pattern and what stands for it, applied to their names in turn."""
    return {renamed_key(rules, key): tensor for key, tensor in state.items()}


def renamed_key(rules: Iterable[tuple[str, str]], key: str) -> str:
    """Return one name with each rule applied in turn."""
    for theirs, ours in rules:
        key = re.sub(theirs, ours, key)
    return key


def strip_prefix(state: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """Strip each prefix in turn where keys begin with it, and keep only those keys.

    The prefix is also the choice of a branch: of `encoder_q.*` and `encoder_k.*`, stripping both would let one
    overwrite the other.
    """
    kept = dict(state)
    for prefix in prefixes:
        kept = {key.removeprefix(prefix): value for key, value in kept.items() if key.startswith(prefix)} or kept
    return kept


def drop(state: Mapping[str, Tensor], starts: Iterable[str]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with none of `starts`: heads and decoders that are not the backbone."""
    return {key: value for key, value in state.items() if not key.startswith(tuple(starts))}


def load_strict(network: nn.Module, state: Mapping[str, Tensor], where: str, hint: str = "") -> None:
    """Fill the network; raise UsageError naming missing, unexpected and misshapen keys, with `hint` at its end.

    Every tensor must have its place and every place its tensor, but for batch norm's step counters.
    """
    wanted = network.state_dict()
    missing = [key for key in wanted if key not in state and not key.endswith(COUNTERS)]
    unexpected = [key for key in state if key not in wanted and not key.endswith(COUNTERS)]
    misshapen = [
        f"{key} is {tuple(state[key].shape)}, the network has {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    if missing or unexpected or misshapen:
        parts = [
            f"{len(keys)} {word} ({_some(keys)})"
            for word, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
            if keys
        ]
        raise UsageError(f"{where} does not fit {type(network).__name__}: keys {'; '.join(parts)}.{hint}")
    network.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)


def overlap(state: Mapping[str, Tensor], network: nn.Module) -> float:
    """Return the share of names and shapes that a state dict and a network have in common: intersection over union."""
    mine = {(key, tuple(value.shape)) for key, value in state.items() if not key.endswith(COUNTERS)}
    theirs = {(key, tuple(value.shape)) for key, value in network.state_dict().items() if not key.endswith(COUNTERS)}
    return len(mine & theirs) / max(1, len(mine | theirs))


def _tensors(branch: Mapping[str, Any]) -> dict[str, Tensor]:
    import torch

    return {str(key): value for key, value in branch.items() if isinstance(value, torch.Tensor)}


def _some(names: Any, limit: int = 4) -> str:
    """Return the first few names of a mapping or list, or the type's name."""
    if not isinstance(names, Mapping | list):
        return type(names).__name__
    words = [str(name) for name in names]
    return ", ".join(words[:limit]) + (", …" if len(words) > limit else "")
