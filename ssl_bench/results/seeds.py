"""Whether another seed could give a record other numbers.

A record says so itself. Earlier ones say what their protocol does on some task or other; where the protocol draws but
what it holds out of train, a record of a task with a val split, or of a recipe with nothing to choose, drew nothing.
"""

from __future__ import annotations

from ssl_bench.results.record import Record

HOLDING_OUT = ("logistic_regression", "robustness")
"""Protocols whose seed draws the part of train on which C is chosen where a task has no val, and nothing else."""


def matters(record: Record) -> bool:
    """Return whether another seed could give other numbers, as far as the record tells."""
    protocol = record.protocol
    if protocol.deterministic:
        return False
    chosen_without_draw = "val" in record.task.samples or protocol.recipe.get("c_steps") == 1
    return not (protocol.name in HOLDING_OUT and chosen_without_draw)
