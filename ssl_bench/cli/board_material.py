"""What lies beside the records that a board and its pages are made of: cards, per-sample predictions, images."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ssl_bench import model_zoo, tasks
from ssl_bench.cli.example_images import images_of
from ssl_bench.errors import SslBenchError
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard

if TYPE_CHECKING:
    from ssl_bench.leaderboard.material import Material
    from ssl_bench.leaderboard.ranking import Board

Card = TypeVar("Card")


def gathered(results: Results, board: Board, settings: Settings, examples: int = 0) -> Material:
    """Return what the pages of a board's models and tasks are made of: the board, and what lies beside it here."""
    from ssl_bench.leaderboard.material import Material

    def predictions(record: Record) -> Mapping[str, Any] | None:
        return results.read_samples(record) if record.samples.sha256 in results.samples() else None

    return Material(
        board,
        model_cards({record.model.name for record in board.records}, settings),
        task_cards({record.task.name for record in board.records}, settings),
        results.drift,
        tuple(results.withdrawn),
        tuple(results.verifications()),
        predictions,
        images_of(settings) if examples else None,
        examples,
    )


def task_cards(names: set[str], settings: Settings) -> Mapping[str, TaskCard]:
    """Return the cards of the measured tasks that still have one."""
    return _still_there(names & set(tasks.names(settings.shelves)), lambda name: tasks.get(name, settings.shelves))


def model_cards(names: set[str], settings: Settings) -> Mapping[str, ModelCard]:
    """Return the cards of the measured models that still have one: published numbers stand beside ours."""
    known = model_zoo.names(settings.shelves)
    named = {name for name in names if name.partition(",")[0] in known}
    return _still_there(named, lambda name: model_zoo.get(name, settings.shelves))


def _still_there(names: Iterable[str], get: Callable[[str], Card]) -> dict[str, Card]:
    """Return the cards that can be read, by name: a record outlives its card."""
    found = {}
    for name in sorted(names):
        with contextlib.suppress(SslBenchError):
            found[name] = get(name)
    return found
