"""Supports: the few labelled images of train that a few-shot protocol learns from, the same for every model."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from ssl_bench.errors import DataError, UsageError
from ssl_bench.protocols.base import IntArray


def shuffled(labels: IntArray, classes: int, seed: int) -> list[IntArray]:
    """Return every class's positions in an order that `seed` draws, class by class, with NumPy's PCG64.

    It is the draw of google-research/big_vision evaluators/fewshot_lsr.py, whose supports are the first positions of
    each class; so the support of fewer shots is part of that of more.
    """
    generator = np.random.default_rng(seed)
    return [generator.permutation(np.flatnonzero(labels == label)) for label in range(classes)]


def balanced(members: Sequence[IntArray], shots: int) -> IntArray:
    """Return the first `shots` positions of every class, class by class: (classes · shots,)."""
    return np.concatenate([found[:shots] for found in members]).astype(np.int64)


def stratified(members: Sequence[IntArray], share: float) -> IntArray | None:
    """Return a rounded share of every class's positions, at least one; None where no class has one by rounding."""
    counts = [round(share * len(found)) for found in members]
    if max(counts) < 1:
        return None
    return np.concatenate([found[: max(1, count)] for found, count in zip(members, counts, strict=True)])


def fitting(members: Sequence[IntArray], shots: int, also: Sequence[int], protocol: str) -> tuple[list[int], list[int]]:
    """Return the further numbers of shots that every class has samples for, and those that are left out.

    Raises DataError where a class has no training sample, and UsageError where one has fewer than `shots`.
    """
    sizes = [len(found) for found in members]
    fewest = min(sizes)
    label = sizes.index(fewest)
    if not fewest:
        raise DataError(f"{protocol}: class {label} has no training sample, so no support of every class can be drawn")
    if fewest < shots:
        raise UsageError(
            f"{protocol}: shots={shots}, but class {label} has {fewest} training samples; "
            f"ask for {protocol},shots={fewest} or less"
        )
    further = sorted({other for other in also if other != shots})
    return [other for other in further if other <= fewest], [other for other in further if other > fewest]


def digest(positions: IntArray) -> str:
    """Return the sha256 of positions in train, written as little-endian int64: equal supports, equal digests."""
    return hashlib.sha256(positions.astype("<i8").tobytes()).hexdigest()
