"""Retrieval: every test image asks for the images most like it, and those of its class are what it should find.

By default the gallery is the rest of test (leave one out), as in metric learning (Song et al., CVPR 2016: Recall@k on
the test classes); with gallery=train it is the whole of train. Nothing is trained and val is not looked at. Equally
similar images are taken in the gallery's order. A query whose feature is the zero vector is refused: it would rank the
images as their files lie, which is often class by class. Tasks with judgements, the revisited Oxford and Paris, are
asked with gallery=train and bring their own headline.

Every query ranks its whole gallery, in queries · gallery · 4 bytes of memory; where that is more than 4 GiB, `depth`
says how many images are ranked, and the mean average precision counts no others.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import DataError, UsageError
from ssl_bench.predictions import Rankings
from ssl_bench.protocols import base
from ssl_bench.solvers.neighbours import nearest

MOST_BYTES = 1 << 32
"""What the matrix of ranked positions may take."""
BLOCK_BYTES = 1 << 28
"""About what the search for one block of queries may take beside it."""


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """The gallery by falling similarity."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = True
    metric: ClassVar[str] = "map"
    kinds: ClassVar[tuple[str, ...]] = ("classification", "retrieval")

    gallery: Literal["test", "train"] = "test"
    """What is searched: the other images of test, or all of train."""
    distance: Literal["cosine", "euclidean"] = "cosine"
    """"cosine" compares directions; "euclidean" compares features as they are."""
    depth: int = 0
    """Images that are ranked per query; 0 ranks the whole gallery."""

    def __post_init__(self) -> None:
        if self.depth < 0 or 0 < self.depth < 10:
            raise UsageError(f"retrieval: depth must be 0, for all, or 10 and more (Recall@10), not {self.depth}")

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return the gallery's positions by falling similarity for every test image.

        Raises UsageError for a gallery that is empty or too large to be ranked as a whole, DataError for a query
        without a direction.
        """
        ranked = self.ranked(trial)
        queries, bank = self._queries(trial), trial.features(self.gallery)
        alone = self.gallery == "test"
        order = np.empty((len(queries), ranked), dtype=np.int32)
        size = max(1, BLOCK_BYTES // (32 * (ranked + 1)))
        for start in range(0, len(queries), size):
            rows = slice(start, start + size)
            found = nearest(bank, queries[rows], ranked + alone, distance=self.distance, device=trial.device).indices
            order[rows] = _without(found, np.arange(start, start + len(found))) if alone else found
        return base.Answer(Rankings(order, self.gallery), selected={"gallery": len(bank) - alone, "ranked": ranked})

    def _queries(self, trial: base.Trial) -> base.FloatArray:
        """Return the features of test; raise DataError for one without a direction, where directions are compared."""
        features = trial.features("test")
        if self.distance == "cosine" and (zero := int((~features.any(axis=1)).sum())):
            raise DataError(
                f"retrieval: {zero} of {len(features)} features of the test split have length 0 and so no direction; "
                "ask for retrieval,distance=euclidean"
            )
        return features

    def ranked(self, trial: base.Trial) -> int:
        """Return how many images each query ranks."""
        if self.gallery == "test" and not trial.classes:
            raise UsageError("retrieval: this task has a gallery of its own; ask for retrieval,gallery=train")
        queries, gallery = trial.sizes["test"], trial.sizes[self.gallery] - (self.gallery == "test")
        if gallery < 1:
            raise UsageError("retrieval: test holds one image and no other to find; ask for retrieval,gallery=train")
        ranked = min(self.depth or gallery, gallery)
        if queries * ranked * 4 > MOST_BYTES:
            most = max(10, MOST_BYTES // (4 * queries))
            raise UsageError(
                f"retrieval: {queries} queries that rank {ranked} images each need {queries * ranked * 4 / 1e9:.0f} GB "
                f"of memory; ask for retrieval,depth={min(most, 1000)}"
            )
        return ranked

    def uninformed(self, trial: base.Trial) -> base.Answer:
        """Return the gallery in one order, drawn at random, for every query."""
        ranked, size = self.ranked(trial), trial.sizes[self.gallery]
        drawn = np.random.default_rng(trial.seed).permutation(size).astype(np.int32)
        order = np.empty((trial.sizes["test"], ranked), dtype=np.int32)
        for query in range(len(order)):
            order[query] = (drawn[drawn != query] if self.gallery == "test" else drawn)[:ranked]
        return base.Answer(Rankings(order, self.gallery))


def _without(found: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return positions (queries, ranked) without each query's own; where copies pushed it out, without the last."""
    others = found != own[:, None]
    others[others.all(axis=1), -1] = False
    kept: NDArray[np.int64] = found[others].reshape(len(found), -1)
    return kept
