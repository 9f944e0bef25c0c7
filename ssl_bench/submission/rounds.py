"""Rounds: a suite as it is asked now, question by question. Its version and digest freeze it.

What a suite asks lies in its card, its tasks' cards and the protocols' recipes. A bundle names the round that it
answers, so that a suite may move on without old numbers passing for answers to new questions.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from ssl_bench import cards
from ssl_bench.files import canonical_json, digest_json
from ssl_bench.submission.manifest import Asked
from ssl_bench.tasks import SuiteCard, TaskCard


@dataclasses.dataclass(frozen=True)
class Ask:
    """One question of a round: a task by a protocol."""

    task: str
    protocol: str
    version: int
    """Of the protocol."""
    recipe: Mapping[str, Any]
    requested: Mapping[str, Any]
    """Which features, of any model alike."""
    seeds: tuple[int, ...]
    """All that are published, and none else."""
    metric: str = ""
    """The headline, where it is not the task's own."""

    @functools.cached_property
    def canonical(self) -> str:
        """The question as canonical JSON; the versions of task and protocol stand for the headline."""
        return canonical_json({key: value for key, value in cards.plain(self).items() if key != "metric"})

    @property
    def where(self) -> str:
        """The question for people."""
        return f"{self.task} × {self.protocol}"


@dataclasses.dataclass(frozen=True)
class Round:
    """A suite, and all that it asks."""

    suite: SuiteCard
    tasks: Mapping[str, TaskCard]
    asks: tuple[Ask, ...]

    @property
    def name(self) -> str:
        """Suite and version, such as "vtab@1"."""
        return f"{self.suite.name}@{self.suite.version}"

    @functools.cached_property
    def digest(self) -> str:
        """sha256 over what is asked and how it becomes one number. Titles and notes do not enter; a task's version
        stands for its data, whose digest a card may state later."""
        tasks = {name: [card.version, card.kind, card.classes, card.metric] for name, card in self.tasks.items()}
        return digest_json(
            {
                "aggregate": self.suite.aggregate,
                "asks": sorted(ask.canonical for ask in self.asks),
                "groups": cards.plain(self.suite.groups),
                "name": self.suite.name,
                "tasks": tasks,
                "version": self.suite.version,
            }
        )

    @property
    def asked(self) -> Asked:
        """What a bundle says of the round."""
        return Asked(self.suite.name, self.suite.version, self.digest)
