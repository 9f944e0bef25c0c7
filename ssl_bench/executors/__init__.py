"""Executors: one file per engine that gets the jobs of a plan done. The folder is the registry."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench import cards, settings
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.plans.dividing import SHARD_IMAGES

if TYPE_CHECKING:
    from ssl_bench.executors.base import Executor

NOT_EXECUTORS = ("base", "queues", "worker")


@dataclasses.dataclass(frozen=True)
class Choice:
    """Who does the jobs, and how."""

    name: str = ""
    """Of the executor; empty: this process does them one after another."""
    parallel: int = 0
    """Jobs at once; 0: as many as fit."""
    attempts: int = 3
    """How often a job is begun whose process or machine is lost."""
    shard_images: int = SHARD_IMAGES
    """Images of one extract job."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Of the executor."""


def choose(flags: Mapping[str, Any], options: Sequence[str]) -> Choice:
    """Return who does the jobs: flags, over the table `executor` of the project's file, over that of the user's.

    In the table stand the fields of `Choice`, and beside them the executor's own options. `options` are words such as
    "partition=gpu". Raises UsageError for an unknown executor, an option without "=" or a wrong value.
    """
    fields = [field.name for field in dataclasses.fields(Choice) if field.name != "options"]
    values: dict[str, Any] = {}
    own: dict[str, Any] = {}
    places = ["flags"]
    for table, place in settings.own_tables("executor"):
        places.append(place)
        values |= {key: value for key, value in table.items() if key in fields}
        own |= {key: value for key, value in table.items() if key not in fields}
    given = {key: value for key, value in flags.items() if value is not None}
    if given.get("name", values.get("name")) != values.get("name"):
        own = {}  # they are of the other executor
    own |= dict(_pair(word) for word in options)
    chosen = cards.from_table(Choice, values | given, places[-1], options=own)
    if chosen.name:
        get(chosen.name)
    return chosen


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise UsageError(f"--executor-option {word!r} is not key=value")
    return key, value


def names() -> tuple[str, ...]:
    """Return the names of all executors, without importing one."""
    files = (path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return tuple(sorted(name for name in files if name not in NOT_EXECUTORS))


def get(name: str) -> type[Executor]:
    """Return an executor by its name; raise UsageError for an unknown one."""
    if name not in names():
        raise UsageError(f"no executor is called {name!r}.{did_you_mean(name, names())} Known: {', '.join(names())}")
    kind: type[Executor] = importlib.import_module(f"{__name__}.{name}").Executor
    return kind
