"""Plots of a board, as SVG text: a file per kind. Colours come from the page's style sheet, so that they follow its
scheme; equal boards give equal bytes."""

from __future__ import annotations

from ssl_bench.leaderboard.plots import aggregates, cost, critical, dots, heat, protocols, ranks, wins
from ssl_bench.leaderboard.plots.dots import Dot, dot_plot
from ssl_bench.leaderboard.plots.figure import Figure
from ssl_bench.leaderboard.ranking import Board, Table


def figures(board: Board) -> list[Figure]:
    """Return the plots of the board as a whole: each protocol against each other."""
    return protocols.figures(board)


def of_table(table: Table) -> list[Figure]:
    """Return the plots of one table: costs, groups, tasks by models, ranks, and each task."""
    return [
        *cost.figures(table),
        *dots.of_groups(table),
        *heat.figures(table),
        ranks.figure(table),
        critical.figure(table),
        wins.figure(table),
        aggregates.figure(table),
        *dots.of_tasks(table),
    ]


__all__ = ["Dot", "Figure", "dot_plot", "figures", "of_table"]
