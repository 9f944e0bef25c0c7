"""Per-sample predictions of two records, sample beside sample."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import IncomparableError
from ssl_bench.results.samples import Table

KEYS = ("episode", "set", "sample_id")
LABELS = ("target", "true_pixels", "true_label")
"""Columns that say what is true of a sample, and nothing of a model."""


def align(base: Table, cand: Table, where: str) -> tuple[Table, Table]:
    """Return both tables in base's order of samples; raise IncomparableError where samples or labels differ."""
    mine, theirs = _keys(base), _keys(cand)
    if mine != theirs:
        place = {key: index for index, key in enumerate(theirs)}
        lacking = [key for key in mine if key not in place]
        if lacking or len(mine) != len(theirs):
            more = len(place.keys() - set(mine))
            example = f", such as {_word(lacking[0])}" if lacking else ""
            raise IncomparableError(
                f"{where}: sample ids: {len(lacking)} only in base{example}; {more} only in the candidate"
            )
        order = np.array([place[key] for key in mine])
        cand = {name: _taken(values, order) for name, values in cand.items()}
    for name in LABELS:
        if name not in base:
            continue
        wrong = sum(not np.array_equal(*pair) for pair in zip(base[name], cand[name], strict=True))
        if wrong:
            raise IncomparableError(
                f"{where}: labels: {wrong} of {len(mine)} samples have another label in the candidate"
            )
    return base, cand


def _keys(table: Table) -> list[Any]:
    """Return what names each row; a query that an episode asks twice is told apart by its turn."""
    names = [name for name in KEYS if name in table]
    if "sample_id" not in names:
        return list(range(len(next(iter(table.values()), ()))))
    if names == ["sample_id"]:
        ids = list(table["sample_id"])
        if len(set(ids)) == len(ids):
            return ids
    columns = [table[name].tolist() if hasattr(table[name], "tolist") else table[name] for name in names]
    turns: Counter[tuple[Any, ...]] = Counter()
    keys = []
    for key in zip(*columns, strict=True):
        keys.append((*key, turns[key]))
        turns[key] += 1
    return keys


def _word(key: Any) -> str:
    return repr(key[-2] if isinstance(key, tuple) else key)


def _taken(values: Any, order: NDArray[np.int64]) -> Any:
    return values[order] if isinstance(values, np.ndarray) else [values[index] for index in order.tolist()]


def paired(table: Table) -> bool:
    """Return whether rows have names, so that the samples of two tables can be told to be the same."""
    return "sample_id" in table


def answers(table: Table) -> NDArray[Any] | None:
    """Return one answer per sample, where there is one to be flipped."""
    for name in ("pred", "cluster"):
        if name in table:
            return np.asarray(table[name])
    return None


def names_of(table: Table) -> Sequence[str]:
    """Return a name per row, for readers."""
    if "set" in table:
        return [f"{group}: {name}" for group, name in zip(table["set"], table["sample_id"], strict=True)]
    return [str(name) for name in table["sample_id"]]
