"""What a check may look at: the bundle, the round, and what is known already."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ssl_bench.leaderboard.entries import Entry
from ssl_bench.leaderboard.overlaps import Dataset
from ssl_bench.results.record import Record
from ssl_bench.results.samples import Table
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.rounds import Ask, Round


@dataclasses.dataclass(frozen=True)
class Known:
    """What a server, or a submitter's own machine, knows besides the bundle."""

    entries: Mapping[str, Entry] = dataclasses.field(default_factory=dict)
    """Name to entry that was accepted."""
    records: Sequence[Record] = ()
    """That stand on the board."""
    table: Callable[[Record], Table | None] = lambda record: None
    """The predictions of such a record, where they are at hand."""
    targets: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Task digest to the labels of its test split, in its order, that nobody handed in."""
    images: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Task digest to the sha256 of its test images, uint8 (images, 32), in their order."""
    datasets: Mapping[str, Dataset] = dataclasses.field(default_factory=dict)
    """Name to dataset of pretraining, and the tasks that share images with it."""
    harness: str = ""
    """Digest of the code that validates."""


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A bundle that was read, and all that it is judged by."""

    bundle: Bundle
    round: Round
    known: Known

    @property
    def closed(self) -> bool:
        return self.bundle.entry.division == "closed"

    @functools.cached_property
    def answers(self) -> dict[tuple[str, str], list[Record]]:
        """The bundle's records by task and protocol."""
        found: dict[tuple[str, str], list[Record]] = {}
        for record in self.bundle.records:
            found.setdefault((record.task.name, record.protocol.name), []).append(record)
        return found

    def to(self, ask: Ask) -> list[Record]:
        """Return the bundle's records that answer a question of the round."""
        return self.answers.get((ask.task, ask.protocol), [])

    @functools.cached_property
    def others(self) -> list[Record]:
        """Known records of other models."""
        name = self.bundle.entry.name
        return [record for record in self.known.records if record.model.name != name]

    @property
    def namesakes(self) -> list[Record]:
        """Known records of the entry's name."""
        name = self.bundle.entry.name
        return [record for record in self.known.records if record.model.name == name]

    @functools.cached_property
    def peers(self) -> dict[str, list[Record]]:
        """Known records of other models by the question that they answer."""
        found: dict[str, list[Record]] = {}
        for record in self.others:
            found.setdefault(record.question, []).append(record)
        return found


def where(record: Record) -> str:
    """Return what a record answers, for people."""
    return f"{record.task.name} × {record.protocol.name} seed {record.seed}"
