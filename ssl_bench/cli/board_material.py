"""What lies beside the records that a board and its pages are made of: cards, per-sample predictions, images."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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


def gathered(results: Results, board: Board, settings: Settings, examples: int = 0) -> Material:
    """Return what the pages of a board's models and tasks are made of: the board, and what lies beside it here."""
    from ssl_bench.leaderboard.material import Material
    from ssl_bench.results.samples import sample_name

    here = results.files.sample_files()

    def predictions(record: Record) -> Mapping[str, Any] | None:
        return results.read_samples(record) if sample_name(record.samples.sha256) in here else None

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
    found, known = {}, tasks.names(settings.shelves)
    for name in sorted(names & set(known)):
        with contextlib.suppress(SslBenchError):  # a record outlives its card
            found[name] = tasks.get(name, settings.shelves)
    return found


def model_cards(names: set[str], settings: Settings) -> Mapping[str, ModelCard]:
    """Return the cards of the measured models that still have one: published numbers stand beside ours."""
    found, known = {}, model_zoo.names(settings.shelves)
    for name in sorted(name for name in names if name.partition(",")[0] in known):
        try:
            found[name] = model_zoo.get(name, settings.shelves)
        except SslBenchError:
            continue  # a record outlives its card
    return found
