"""Strengths from wins, where every model has met every other equally often (Bradley and Terry 1952, Biometrika 39:324).

A model of strength s beats one of strength r with probability 1 / (1 + e^(r − s)). The likeliest strengths of k models,
each pair of which met n times, and of which model i won w_i meetings in all, ties half, are the fixed point of

    e^s_i ← w_i / Σ_{j ≠ i} n / (e^s_i + e^s_j)        (Hunter 2004, Ann. Statist. 32:384)

They are finite where nobody has won or lost everything; strengths are known up to a constant.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

STEPS = 10_000
TOLERANCE = 1e-10
ELO = 400 / math.log(10)
"""Elo points of a unit of strength: 400 points are odds of ten to one."""


def bradley_terry(won: Sequence[float], met: float) -> list[float]:
    """Return the strengths, of mean 0, of models that won so many of `met` meetings with each other one.

    Raises ValueError where one has won all or none of them, so that there is no likeliest strength.
    """
    wins = np.asarray(won, dtype=np.float64)
    if len(wins) < 2 or not ((wins > 0) & (wins < met * (len(wins) - 1))).all():
        raise ValueError("a model that has won all or none has no finite strength")
    odds = np.ones(len(wins))
    for _ in range(STEPS):
        rates = met / (odds[:, None] + odds[None, :])
        np.fill_diagonal(rates, 0.0)
        new = wins / rates.sum(axis=1)
        new /= np.exp(np.log(new).mean())
        close = np.abs(np.log(new / odds)).max() < TOLERANCE
        odds = new
        if close:
            break
    return [float(strength) for strength in np.log(odds)]
