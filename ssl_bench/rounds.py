"""The round that is open: what a suite's cards and the protocols' code ask of any model, as jobs would."""

from __future__ import annotations

from ssl_bench import protocols
from ssl_bench.datasets import index
from ssl_bench.datasets.index import Index
from ssl_bench.errors import SslBenchError, UsageError, did_you_mean
from ssl_bench.jobs import Request, expand
from ssl_bench.model_zoo import ModelCard
from ssl_bench.scoring import headline
from ssl_bench.settings import Settings
from ssl_bench.submission.limits import readable
from ssl_bench.submission.rounds import Ask, Round
from ssl_bench.tasks import get_suite, suite_names

ANYBODY = ModelCard("anybody", "pixels")
"""Stands for the model; no question depends on it."""


def current(suite: str, settings: Settings) -> Round:
    """Return the round of a suite; raise UsageError for a name that no shelf has: a bundle's word is never a path."""
    known = suite_names(settings.shelves)
    if suite not in known:
        raise UsageError(f"no suite is called {readable(suite)!r}.{did_you_mean(suite, known)}")
    asks: dict[tuple[str, str], Ask] = {}
    tasks = {}
    for job in expand(Request((ANYBODY,), suite=suite), settings):
        tasks[job.task.name] = job.task
        key = job.task.name, job.protocol_name
        seeds = (*asks[key].seeds, job.seed) if key in asks else (job.seed,)
        recipe = protocols.recipe(job.protocol)
        first = headline(job.task, job.protocol)
        metric = "" if first == job.task.metric else first
        asks[key] = Ask(*key, job.protocol.version, recipe, job.requested, seeds, metric)
    return Round(get_suite(suite, settings.shelves), tasks, tuple(asks.values()))


def held(round: Round, settings: Settings) -> dict[str, Index]:
    """Return what those of a round's tasks consist of whose data was read on this machine, by task digest."""
    found = {}
    for card in round.tasks.values():
        try:
            table = index.lookup(card, settings.data, settings.cache)
        except SslBenchError:
            continue  # the data is not here; the report says that labels are the bundle's
        if table is not None:
            found[table.task_digest] = table
    return found
