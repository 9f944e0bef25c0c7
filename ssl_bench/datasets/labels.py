"""Labels from what a source holds: numbers as they are, values by rank, quantities in bins, several of an image."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError


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
    order = tuple(classes) or tuple(sorted(set(values), key=_by_number if all(map(is_whole, values)) else None))
    ranks = {value: rank for rank, value in enumerate(order)}
    unknown = sorted(set(values) - set(order))
    if unknown:
        raise DataError(f"the label {unknown[0]!r} is not one of the declared classes")
    return np.array([ranks[value] for value in values], dtype=np.int64), order


def several(values: Sequence[Sequence[str]], classes: Sequence[str] = ()) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (samples, classes), 1 for the values that a sample has and 0 for others, and the values as `ranked` does.

    Raises DataError for a value that is not in `classes`.
    """
    places, order = ranked([value for own in values for value in own], classes)
    found = np.zeros((len(values), len(order)), dtype=np.int64)
    found[np.repeat(np.arange(len(values)), [len(own) for own in values]), places] = 1
    return found, order


def numbered(values: Sequence[Sequence[int]], classes: Sequence[str], where: str) -> NDArray[np.int64]:
    """Return (samples, classes), 1 for the labels that a sample's list holds and 0 for others.

    Raises DataError naming `where` for a number beyond the classes, UsageError where there are none to count.
    """
    if not classes:
        raise UsageError(f"{where}: data.classes must name the classes where labels are lists of numbers")
    found = np.zeros((len(values), len(classes)), dtype=np.int64)
    for row, own in enumerate(values):
        for label in own:
            if not 0 <= label < len(classes):
                raise DataError(
                    f"{where}: row {row} has the label {label}, outside 0 to {len(classes) - 1}, its classes"
                )
            found[row, label] = 1
    return found


def flags(values: Any, where: str) -> NDArray[np.int64]:
    """Return what holds of samples, (samples, classes) of 1, 0 and -1, as int64; raise DataError naming `where` if not.

    1 says that a class holds, 0 that it does not, -1 that it is too hard to say.
    """
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "iub":
        raise DataError(
            f"{where}: labels must be whole numbers, a column per class, not {array.dtype} of {array.shape}"
        )
    found = array.astype(np.int64)
    if not np.isin(found, (-1, 0, 1)).all():
        row, column = np.argwhere(~np.isin(found, (-1, 0, 1)))[0].tolist()
        raise DataError(f"{where}: row {row} has {found[row, column]} in column {column}, which is not 1, 0 or -1")
    return found


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


def is_whole(value: str) -> bool:
    """Tell whether a text is a whole number."""
    return value.removeprefix("-").isdecimal()


def _by_number(value: str) -> tuple[int, str]:
    return int(value), value
