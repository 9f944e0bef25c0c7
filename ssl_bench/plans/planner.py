"""What is known of jobs before anything is computed; without torch and without a network.

A record's identity rests on digests of weights and images. Both are remembered, under what stands for their content,
when they are first computed; a plan reads only what is remembered, and says "unknown" where nothing is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ssl_bench import datasets, distributed, model_zoo, subsets
from ssl_bench.datasets import index
from ssl_bench.datasets.index import Index
from ssl_bench.errors import MissingError
from ssl_bench.extraction import DENSE, Spec
from ssl_bench.facts import ModelFacts, known_facts, known_speed
from ssl_bench.features import FeatureStore
from ssl_bench.files import megabytes
from ssl_bench.jobs import Job, job_record_id, limited, unsuited
from ssl_bench.machine import choose_device
from ssl_bench.model_zoo import ModelCard
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard

BACKWARD = 2
"""Forward passes that a backward pass takes as long as: it multiplies by weights and by activations."""
State = Literal["done", "probe", "extract", "missing", "skip"]


@dataclasses.dataclass(frozen=True, eq=False)
class Planned:
    """A job and what is known of it."""

    job: Job
    state: State
    """`done`: its record is there; `probe`: all features are cached; `extract`: images must pass the network first;
    `missing`: weights or data are not on this machine; `skip`: the task cannot be asked so, `reason` says why."""
    images: int | None = None
    """Images still to pass the network; None where that is not known yet."""
    seconds: float | None = None
    """Estimate for the extraction from measured throughput; None where nothing was measured."""
    bytes: float | None = None
    """Of the features that are still to be extracted; None where their size was never noted."""
    record_id: str = ""
    """Identity of the job's record, where it is known."""
    reason: str = ""
    """Why the job is skipped."""
    lacks: tuple[str, ...] = ()
    """What is missing, a line each: what, how large, and the command or step that gets it."""


class Planner:
    """Looks up what is known of jobs, each file once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.results = Results(settings.results)
        self.store = FeatureStore(settings.cache)
        self._facts: dict[str, ModelFacts | None] = {}
        self._indexes: dict[str, Index | None] = {}
        self._lacks: dict[str, tuple[str, ...]] = {}

    def plan(self, jobs: Sequence[Job]) -> list[Planned]:
        """Return the jobs with what is known of each; images shared by several jobs count in the first."""
        counted: set[tuple[str, ...]] = set()
        return [self._one(job, counted) for job in jobs]

    def samples(self, card: TaskCard) -> dict[str, int]:
        """Return the number of samples per role, from the index or else as the card states it; empty: not known."""
        table = self._index_of(card)
        return table.samples if table is not None else dict(card.source.samples)

    def _one(self, job: Job, counted: set[tuple[str, ...]]) -> Planned:
        lacks = self._lacking_weights(job.model) + self._lacking_data(job.task) + self._lacking_subsets(job)
        if lacks:
            return Planned(job, "missing", lacks=lacks)
        facts, table = self._facts_of(job.model), self._index_of(job.task)
        if reason := unsuited(job, table.labels if table is not None else None):
            return Planned(job, "skip", images=0, reason=reason)
        if facts is None or table is None:
            return Planned(job, "extract", images=self._unknown_images(job, table, counted))
        identity = job_record_id(job, facts, table.task_digest)
        if self.results.has(identity):
            return Planned(job, "done", images=0, record_id=identity)
        if not facts.informative:
            return Planned(job, "probe", images=0, record_id=identity)
        every = {name: d[limited(len(d), job.limit)] for name, d in table.digests.items()}
        passes = job.protocol.passes({name: len(digests) for name, digests in every.items()})
        spec = facts.spec(job.pooled, job.precision)
        missing = images = passes.crops + passes.trained
        room: float | None = 0.0
        for view, splits in passes.kept.items():
            here = dataclasses.replace(spec, pooled=DENSE) if view == DENSE else dataclasses.replace(spec, view=view)
            digests = {name: every[name] for name in splits}
            missing += self.store.missing(here, np.concatenate(list(digests.values())))
            fresh = [found for name, found in digests.items() if (here.key, table.task_digest, name) not in counted]
            new = self.store.missing(here, np.concatenate(fresh)) if fresh else 0
            images += new
            room = self._room(here, new, room)
            counted |= {(here.key, table.task_digest, name) for name in digests}
        if not missing:
            return Planned(job, "probe", images=0, record_id=identity)
        return Planned(
            job,
            "extract",
            images=images,
            seconds=self._estimate(spec, images + BACKWARD * passes.trained),
            bytes=room,
            record_id=identity,
        )

    def _unknown_images(self, job: Job, table: Index | None, counted: set[tuple[str, ...]]) -> int | None:
        """Without the model's digest every image counts, once per view; without an index none is known."""
        if table is None:
            return None
        sizes = {name: len(limited(size, job.limit)) for name, size in table.samples.items()}
        passes, images = job.protocol.passes(sizes), 0
        for view, splits in passes.kept.items():
            keys = {name: (job.model.name, table.task_digest, view, name) for name in splits}
            images += sum(sizes[name] for name, key in keys.items() if key not in counted)
            counted |= set(keys.values())
        return images + passes.crops + passes.trained

    def _estimate(self, spec: Spec, images: int) -> float | None:
        speed = known_speed(self.settings, spec)
        return images / speed.images_per_second if speed else None

    def _room(self, spec: Spec, images: int, before: float | None) -> float | None:
        """Return the bytes of some images' features, with those of other views."""
        if not images or before is None:
            return before
        speed = known_speed(self.settings, spec)
        return before + images * speed.bytes_per_image if speed and speed.bytes_per_image else None

    def _facts_of(self, card: ModelCard) -> ModelFacts | None:
        if card.name not in self._facts:
            self._facts[card.name] = known_facts(card, self.settings)
        return self._facts[card.name]

    def _index_of(self, card: TaskCard) -> Index | None:
        if card.name not in self._indexes:
            self._indexes[card.name] = index.lookup(card, self.settings.data, self.settings.cache)
        return self._indexes[card.name]

    def _lacking_weights(self, card: ModelCard) -> tuple[str, ...]:
        state = model_zoo.weights_state(card, self.settings.weight_folders)
        if not state.missing:
            return ()
        size = f", {megabytes(state.bytes)}" if state.bytes else ""
        return (f"weights of {card.name} ({state.source}{size}): ssl-bench fetch --model {card.name}",)

    def _lacking_subsets(self, job: Job) -> tuple[str, ...]:
        lines = (subsets.lacking(name, self.settings.data) for name in job.protocol.subsets)
        return tuple(f"{line}: ssl-bench fetch --protocol {job.protocol_name},lists=simclr" for line in lines if line)

    def _lacking_data(self, card: TaskCard) -> tuple[str, ...]:
        if card.name not in self._lacks:
            try:
                datasets.locate(card, self.settings.data)
                self._lacks[card.name] = ()
            except MissingError as error:
                self._lacks[card.name] = (f"data of {error}",)
        return self._lacks[card.name]


def missing_lines(planned: Sequence[Planned]) -> list[str]:
    """Return each thing that a plan lacks, once."""
    return list(dict.fromkeys(line for item in planned for line in item.lacks))


def undone(planned: Sequence[Planned], settings: Settings) -> list[Job]:
    """Return the jobs without a record; of several processes all go by what the first one found."""
    places = [place for place, item in enumerate(planned) if item.state not in ("done", "skip")]
    if distributed.world() > 1:
        distributed.join(choose_device(settings.device))
    return [planned[place].job for place in distributed.said_by_first(places)]
