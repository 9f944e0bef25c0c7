"""Which images a shard extracts.

Matrix products of few rows are summed in another order than those of many, so a feature's last bits depend on how many
images pass at once (below about 16 with the libraries of the CPU), and on nothing else of the batch. Shards are
therefore cut between whole batches: whatever their number, every image passes in a batch of the same images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

UNIT = 256
"""Images between which nothing is cut: a multiple of the usual batches of all devices."""


def positions(
    digests: Mapping[str, NDArray[np.uint8]], splits: Sequence[str], unit: int, shard: tuple[int, int]
) -> dict[str, NDArray[np.int64]]:
    """Return, per split, the positions of the images that shard `shard[0]` of `shard[1]` passes through the network.

    `digests` are those of each split's images (images, ≥16). An image that several splits, or one several times, hold
    belongs to the first place only; `unit` is a multiple of how many images pass at once.
    """
    units: list[tuple[str, NDArray[np.int64]]] = []
    seen = np.empty(0, "S16")
    for split in splits:
        names = np.ascontiguousarray(digests[split][:, :16]).view("S16").reshape(-1)
        own, first = np.unique(names, return_index=True)
        new = np.sort(first[~np.isin(own, seen)])
        seen = np.union1d(seen, own)
        units += [(split, new[start : start + unit]) for start in range(0, len(new), unit)]
    number, count = shard
    mine = units[number * len(units) // count : (number + 1) * len(units) // count]
    found = {split: [part for name, part in mine if name == split] for split in splits}
    return {split: np.concatenate(parts) for split, parts in found.items() if parts}
