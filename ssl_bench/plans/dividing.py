"""What was planned, divided into the jobs of a plan's file: one pass of a model over a task's images, in shards where
they are many, then what rests on it; what trains the network goes alone.

Model follows model, so that each is loaded once by whoever stays with it. Only tasks whose probes take long go before
all that: a fit of hours that begins last is waited for by everybody (`benchmarks/cluster_simulation.py`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from ssl_bench import cards
from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json
from ssl_bench.jobs import Job
from ssl_bench.plans import plan_file
from ssl_bench.plans.plan_file import Plan, PlanJob
from ssl_bench.plans.planner import Planned, Planner
from ssl_bench.protocols.base import Protocol
from ssl_bench.settings import Settings

SHARD_IMAGES = 50_000
"""Images of one extract job, unless told otherwise: a few minutes of a GPU, and many more than starting costs."""

LONG = 100_000_000
"""Training samples times classes from which on a task goes first: of 768 features, ten minutes on two cores."""


def divide(planned: Sequence[Planned], planner: Planner, settings: Settings, shard_images: int = SHARD_IMAGES) -> Plan:
    """Return the plan of the jobs that are not done; raise UsageError where nothing is left to do."""
    left = [item for item in planned if item.state not in ("done", "skip")]
    if not left:
        raise UsageError("nothing is left to do: every job has its record, so there is no plan to write")
    recipes = _Recipes()
    jobs: list[PlanJob] = []
    for size, group in _longest_first(_grouped(item for item in left if not item.job.protocol.trains), planner):
        shards = _shards(group, planner, recipes, shard_images)
        after = tuple(range(len(jobs), len(jobs) + len(shards)))
        made = [*shards, _probe([item.job for item in group], planner, recipes, after)]
        jobs += [dataclasses.replace(job, first=True) for job in made] if size >= LONG else made
    first: dict[tuple[str, str, int], int] = {}
    for item in left:
        if item.job.protocol.trains:
            key = (item.job.model.name, item.job.task.name, recipes.place(item.job))
            after = (first[key],) if key in first else ()  # other seeds take what the first one chose
            first.setdefault(key, len(jobs))
            trained = PlanJob("probe", key[0], key[1], ((key[2], item.job.seed),), after=after)
            jobs.append(dataclasses.replace(trained, images=item.images, seconds=item.seconds))
    return plan_file.build(jobs, [item.job for item in left], recipes.found, settings)


class _Recipes:
    """Protocols with their fields, each once."""

    def __init__(self) -> None:
        self.found: list[tuple[str, Protocol]] = []
        self._places: dict[str, int] = {}
        self._met: dict[int, tuple[Protocol, int]] = {}
        """Object, by its id, to place: jobs of one recipe share it, and comparing fields of all of them is slow."""

    def place(self, job: Job) -> int:
        if id(job.protocol) not in self._met:
            key = canonical_json([job.protocol_name, cards.plain(job.protocol)])
            if key not in self._places:
                self._places[key] = len(self.found)
                self.found.append((job.protocol_name, job.protocol))
            self._met[id(job.protocol)] = job.protocol, self._places[key]
        return self._met[id(job.protocol)][1]

    def asked(self, jobs: Iterable[Job]) -> tuple[tuple[int, int], ...]:
        return tuple((self.place(job), job.seed) for job in jobs)


def _grouped(planned: Iterable[Planned]) -> list[list[Planned]]:
    """Return what shares a model and a task, in the order in which these came."""
    groups: dict[tuple[str, str], list[Planned]] = {}
    for item in planned:
        groups.setdefault((item.job.model.name, item.job.task.name), []).append(item)
    return list(groups.values())


def _longest_first(groups: Iterable[list[Planned]], planner: Planner) -> list[tuple[int, list[Planned]]]:
    """Return the groups with what a probe of each grows with: the long ones by it, then the others as they came."""
    sized = [
        (planner.samples(group[0].job.task).get("train", 0) * group[0].job.task.classes, group) for group in groups
    ]
    return sorted(sized, key=lambda item: -item[0] if item[0] >= LONG else 0)


def _probe(jobs: Sequence[Job], planner: Planner, recipes: _Recipes, after: tuple[int, ...]) -> PlanJob:
    """Return the job of what rests on extracted features; `images` are crops, which pass every time anew."""
    known = {role: min(size, jobs[0].limit or size) for role, size in planner.samples(jobs[0].task).items()}
    guessed = dict.fromkeys(("train", "val", "test"), SHARD_IMAGES) | known
    passes = [job.protocol.passes(guessed) for job in jobs]
    crops = sum(one.crops + one.trained for one in passes)
    images = crops if known or not crops else None
    return PlanJob("probe", jobs[0].model.name, jobs[0].task.name, recipes.asked(jobs), after=after, images=images)


def _shards(group: Sequence[Planned], planner: Planner, recipes: _Recipes, shard_images: int) -> list[PlanJob]:
    """Return the extract jobs of a group; none where every image has passed."""
    wanted = [item for item in group if item.state == "extract"]
    if not wanted:
        return []
    job = wanted[0].job
    images = _known([item.images for item in wanted])
    seconds = _known([item.seconds for item in wanted if item.images != 0])
    count = max(1, -(-_size(planner.samples(job.task), job.limit) // shard_images))
    asked = recipes.asked({recipes.place(item.job): item.job for item in wanted}.values())
    return [
        PlanJob(
            "extract",
            job.model.name,
            job.task.name,
            asked,
            shard=(number, count),
            images=None if images is None else round(images / count),
            seconds=None if seconds is None else seconds / count,
        )
        for number in range(count)
    ]


def _size(samples: Mapping[str, int], limit: int) -> int:
    return sum(min(size, limit) if limit else size for size in samples.values())


def _known(values: Sequence[float | None]) -> float | None:
    """Return the sum, or None where one is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
