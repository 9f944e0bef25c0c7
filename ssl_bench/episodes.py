"""Few-shot episodes of a test split: who is labelled, who is asked, and the answers, which only scoring draws."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from ssl_bench.errors import UsageError

Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Draw:
    """How episodes are drawn from the test split: `ways` classes, `shots` labelled and `queries` unlabelled each."""

    ways: int
    shots: int
    queries: int
    episodes: int
    seed: int


@dataclasses.dataclass(frozen=True, eq=False)
class Episodes:
    """What a protocol sees: positions in the test split, and the labels of the supports alone."""

    support: Ints  # (episodes, ways · shots)
    ways: Ints  # (episodes, ways · shots): the supports' labels within the episode, 0 … ways - 1
    query: Ints  # (episodes, ways · queries), in an order that tells nothing


def members(labels: Ints, how: Draw) -> list[Ints]:
    """Return the positions of every class that has shots + queries samples or more; others are left out.

    Raises UsageError where fewer than `ways` classes remain.
    """
    need = how.shots + how.queries
    found = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    found = [own for own in found if len(own) >= need]
    if len(found) < how.ways:
        raise UsageError(
            f"episodes of {how.ways} ways with {how.shots} shots and {how.queries} queries need {how.ways} classes of "
            f"{need} test samples or more, and there are {len(found)}; ask for fewer ways, shots or queries"
        )
    return found


def draw(labels: Ints, how: Draw) -> tuple[Episodes, Ints]:
    """Return the episodes and the queries' ways (episodes, ways · queries): NumPy's PCG64 of `how.seed`.

    `labels` are those of the test split (samples,). Raises what `members` raises.
    """
    need, found = how.shots + how.queries, members(labels, how)
    generator = np.random.default_rng(how.seed)
    support = np.empty((how.episodes, how.ways, how.shots), dtype=np.int64)
    query = np.empty((how.episodes, how.ways * how.queries), dtype=np.int64)
    answers = np.empty_like(query)
    for episode in range(how.episodes):
        chosen = generator.choice(len(found), how.ways, replace=False)
        drawn = np.stack([generator.choice(found[way], need, replace=False) for way in chosen])
        support[episode] = drawn[:, : how.shots]
        shuffle = generator.permutation(how.ways * how.queries)
        query[episode] = drawn[:, how.shots :].reshape(-1)[shuffle]
        answers[episode] = np.repeat(np.arange(how.ways), how.queries)[shuffle]
    ways = np.broadcast_to(np.repeat(np.arange(how.ways), how.shots), (how.episodes, how.ways * how.shots))
    return Episodes(support.reshape(how.episodes, -1), ways, query), answers
