"""Which rank a model has by its mean, and between which ranks it lies."""

from __future__ import annotations

from ssl_bench.leaderboard import text
from ssl_bench.leaderboard.places import MOST
from ssl_bench.leaderboard.plots.dots import BOTTOM, LABELS, LINE, RIGHT, TOP, Dot, strip
from ssl_bench.leaderboard.plots.figure import Figure, absent, slug
from ssl_bench.leaderboard.plots.svg import WIDTH, Axis, svg
from ssl_bench.leaderboard.ranking import Table


def figure(table: Table) -> Figure:
    """Return the plot of a table's ranks."""
    id, title = f"{slug(table.protocol)}-ranks", "Ranks by the mean, with 95 % intervals"
    ranked = [(row, place) for row, place in zip(table.rows, table.places.intervals, strict=False) if place]
    if len(ranked) < 2:
        return absent(id, title, "fewer than two models, controls aside, have a mean whose error is known")
    dots = [Dot(text.label(row), place.rank, place.low, place.high, False) for row, place in ranked]
    said = "; ".join(f"{row.model.name} {place.rank} ({place.low} to {place.high})" for row, place in ranked)
    note = f"Intervals: {table.places.how}. Controls have no rank."
    if sum(row.mean.value is not None and not row.control for row in table.rows) > len(ranked):
        note += f" The first {MOST} models are shown and ranked among each other."
    height = TOP + LINE * len(dots) + BOTTOM
    parts = strip(dots, scale(len(dots)))
    return Figure(id, title, note, svg("dots", f"{title}, {table.protocol}", said, height, parts))


def scale(models: int, end: float = WIDTH - RIGHT) -> Axis:
    """Return an axis of ranks, the first at the left."""
    every = next(step for step in (1, 2, 5, 10) if models / step <= 10)
    ticks = [rank for rank in range(1, models + 1) if rank == 1 or rank % every == 0]
    return Axis(1, max(2, models), tuple((rank, str(rank)) for rank in ticks), LABELS + 6, end - 6)
