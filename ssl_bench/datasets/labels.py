"""Labels from what a source holds: numbers as they are, values by rank, quantities in bins."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError


def whole(values: Any, where: str) -> NDArray[np.int64]:
    """Return whole numbers (samples,) or (samples, 1) as int64 (samples,); raise DataError naming `where` if not."""
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise DataError(f"{where}: labels must be whole numbers, one per image, not {array.dtype} of {array.shape}")
    return array.astype(np.int64)


def ranked(values: Sequence[str], classes: Sequence[str] = ()) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return each value's rank as its label, and the values in that order.

    The order is `classes` where given, numeric where every value is a whole number, else that of the text.
    Raises DataError for a value that is not in `classes`.
    """
    order = tuple(classes) or tuple(sorted(set(values), key=_by_number if all(map(_is_whole, values)) else None))
    ranks = {value: rank for rank, value in enumerate(order)}
    unknown = sorted(set(values) - set(order))
    if unknown:
        raise DataError(f"the label {unknown[0]!r} is not one of the declared classes")
    return np.array([ranks[value] for value in values], dtype=np.int64), order


def binned(values: Sequence[Any] | NDArray[Any], bins: int, low: float, high: float, where: str) -> NDArray[np.int64]:
    """Return floor((value - low) · bins / (high - low)) in exact arithmetic: bins of equal width over [low, high).

    Raises DataError naming `where` for a value that is no number or lies outside.
    """
    distinct, inverse = np.unique(np.asarray(values), return_inverse=True)
    width = Fraction(high) - Fraction(low)
    numbers = []
    for value in distinct.tolist():
        try:
            label = (Fraction(value) - Fraction(low)) * bins // width
        except ValueError as error:
            raise DataError(f"{where}: {value!r} is not a number, so it has no bin") from error
        if not 0 <= label < bins:
            raise DataError(f"{where}: {value!r} lies outside {low} to {high}")
        numbers.append(label)
    return np.array(numbers, dtype=np.int64)[inverse.reshape(-1)]


def sets(values: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Return sets of labels as (samples, most), each row a set in rising order and then -1."""
    found = np.full((len(values), max(map(len, values), default=0)), -1, dtype=np.int64)
    for row, some in zip(found, values, strict=True):
        row[: len(some)] = sorted(some)
    return found


def _is_whole(value: str) -> bool:
    return value.removeprefix("-").isdecimal()


def _by_number(value: str) -> tuple[int, str]:
    return int(value), value
