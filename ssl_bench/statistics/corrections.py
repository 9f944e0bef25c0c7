"""Many tests at once."""

from __future__ import annotations

from collections.abc import Sequence


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p-values after Holm's step-down correction (Holm 1979, Scand. J. Statist. 6:65), in the order given.

    Rejecting what is below α keeps the chance of even one false rejection at or below α, however the tests depend on
    one another.
    """
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = highest
    return adjusted
