"""One job, from names to a record."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ssl_bench import backbones, datasets, distributed, interrupts, metrics, model_zoo
from ssl_bench.backbones.base import LoadContext
from ssl_bench.datasets import index
from ssl_bench.environment import describe, peak_memory_mb
from ssl_bench.errors import SslBenchError, UnsuitedError
from ssl_bench.extraction import Spec
from ssl_bench.facts import ModelFacts, file_sha256, known_downloads, remember_facts, remember_speed
from ssl_bench.features import Cost, FeatureStore
from ssl_bench.images import decoder_name
from ssl_bench.jobs import Job, job_record_id, limited, unsuited
from ssl_bench.loading import Work
from ssl_bench.machine import choose_device, clear_errors, keep_freed_memory, preflight
from ssl_bench.meters import Meter
from ssl_bench.model_zoo import ModelCard
from ssl_bench.outcome import Failure, Outcome
from ssl_bench.plans.planner import Planned, undone
from ssl_bench.progress import Progress, choose
from ssl_bench.protocols.base import Trial
from ssl_bench.recording import Loaded, make_record, truth_of
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from ssl_bench.scoring import headline
from ssl_bench.settings import Settings
from ssl_bench.trials import CachedSupply, Data, Memory

if TYPE_CHECKING:
    from torch import nn

    from ssl_bench.tasks import TaskCard


class Runner:
    """Runs jobs one after another; models and data are loaded once for consecutive jobs that share them."""

    def __init__(self, settings: Settings, progress: Progress, given: Mapping[str, nn.Module] | None = None) -> None:
        keep_freed_memory()
        self._given = given or {}
        self.settings = settings
        self.progress = progress
        self.results = Results(settings.results)
        self.store = FeatureStore(settings.cache, settings.shared_cache)
        self.device = distributed.join(choose_device(settings.device))
        self._model: tuple[str, Loaded] | None = None
        self._data: tuple[tuple[str, int], Data] | None = None
        self._memory: Memory = {}

    def run(
        self,
        jobs: Sequence[Job],
        *,
        fail_fast: bool = False,
        on_record: Callable[[Job, Record, bool], None] | None = None,
    ) -> Outcome:
        """Run every job without a record; `on_record(job, record, is_new)` hears of each.

        A job that fails leaves the others running, unless `fail_fast` or other processes wait in it. Of several
        processes the first runs the jobs, and the others take part in those that train.
        """
        outcome = Outcome()
        for job in jobs:
            interrupts.check()
            try:
                with clear_errors():
                    if distributed.rank():
                        self._take_part(job)
                        continue
                    record, new = self.run_one(job)
            except UnsuitedError as error:
                outcome.skipped.append(Failure(job, error))
                continue
            except SslBenchError as error:
                outcome.failures.append(Failure(job, error))
                if fail_fast or (distributed.world() > 1 and job.protocol.trains):
                    break
                continue
            (outcome.written if new else outcome.present).append(record)
            if on_record is not None:
                on_record(job, record, new)
        return outcome

    def run_one(self, job: Job) -> tuple[Record, bool]:
        """Return the job's record and whether it is new."""
        data, loaded, identity = self._prepared(job)
        present = self.results.has(identity)
        if job.protocol.trains:
            distributed.said_by_first(present)
        if present:
            return self.results.get(identity), False
        spec = loaded.facts.spec(job.pooled, job.precision)
        trial, cost = self._trial(job, loaded, data, spec, identity)
        meter, start = Meter(self.device), time.monotonic()
        answer = job.protocol.answer(trial)
        seconds, used = time.monotonic() - start - cost.seconds, meter.read()
        remember_speed(self.settings, spec, cost)
        features = next((found for (key, _), found in self._memory.items() if key == spec.key), None)
        record = make_record(
            job,
            loaded,
            data,
            spec,
            answer,
            truth=truth_of(job.task, data, datasets.judgements(job.task, self.settings.data)),
            embed_dim=features.shape[1] if features is not None else 0,
            keep=self.results.put_samples,
            environment=self._environment(),
            timing=self._timing(job, loaded, cost, seconds) | dict(answer.cost) | used,
        )
        outcome = self.results.put(record).outcome
        shutil.rmtree(self._training / identity, ignore_errors=True)
        if outcome == "drift":
            self.progress.say(f"{job.label}: a run beside this one got other numbers; both records are kept")
        return record, True

    def _prepared(self, job: Job) -> tuple[Data, Loaded, str]:
        """Return the job's data and model, and the identity of its record; the first process prepares for the others.

        Raises UnsuitedError where the task cannot be asked so.
        """
        together = distributed.first_goes_ahead() if job.protocol.trains else contextlib.nullcontext()
        with together:
            data = self._load_data(job.task, job.limit)
            if reason := unsuited(job, {role: split.labels for role, split in data.splits.items()}):
                raise UnsuitedError(reason)
            loaded = self._load_model(job.model)
            loaded.backbone.resolve_pooling(job.pooled)
            return data, loaded, job_record_id(job, loaded.facts, data.task_digest)

    def _take_part(self, job: Job) -> None:
        """Train beside the first process, which keeps what comes of it."""
        if not job.protocol.trains:
            return
        data, loaded, identity = self._prepared(job)
        if not distributed.said_by_first(True):
            spec = loaded.facts.spec(job.pooled, job.precision)
            job.protocol.answer(self._trial(job, loaded, data, spec, identity)[0])

    def trial(self, job: Job) -> Trial:
        """Return what the job's protocol would look at."""
        loaded, data = self._load_model(job.model), self._load_data(job.task, job.limit)
        return self._trial(job, loaded, data, loaded.facts.spec(job.pooled, job.precision))[0]

    def loaded(self, card: ModelCard) -> Loaded:
        """Return a model in memory."""
        return self._load_model(card)

    def data(self, job: Job) -> Data:
        """Return a job's data in memory."""
        return self._load_data(job.task, job.limit)

    @property
    def _training(self) -> Path:
        """Where long training keeps its state."""
        return self.settings.cache / "training"

    def _shared(self, job: Job, loaded: Loaded, data: Data) -> str:
        """Return what is the same for all seeds of a job, and for no other."""
        return job_record_id(dataclasses.replace(job, seed=0), loaded.facts, data.task_digest)

    @property
    def work(self) -> Work:
        """How images are decoded and passed."""
        return Work(self.device, self.settings.batch_size, self.settings.workers, self.settings.compile)

    def _environment(self) -> dict[str, Any]:
        how = {"batch_size": self.work.images_at_once, "compiled": self.settings.compile, "decoder": decoder_name()}
        return describe(self.device) | how

    def _timing(self, job: Job, loaded: Loaded, cost: Cost, seconds: float) -> dict[str, float]:
        return {
            **known_downloads(job.model, job.task, self.settings),
            **({"flops_per_image": loaded.flops} if loaded.flops else {}),
            "extract_seconds": round(cost.seconds, 3),
            "protocol_seconds": round(max(seconds, 0.0), 3),
            "images_extracted": cost.extracted,
            "images_cached": cost.cached,
            "images_per_second": round(cost.extracted / cost.seconds, 1) if cost.seconds else 0.0,
            "peak_memory_mb": peak_memory_mb(),
        }

    def _load_model(self, card: ModelCard) -> Loaded:
        if self._model is None or self._model[0] != card.name:
            self._model, self._memory = None, {}
            self._model = card.name, self._open_model(card)
        return self._model[1]

    def _open_model(self, card: ModelCard) -> Loaded:
        state = model_zoo.weights_state(card, self.settings.weight_folders)
        context = LoadContext(weights_path=state.path, offline=self.settings.offline, load_card=self._card)
        given = self._given.get(card.name)
        backbone = backbones.load(card, context) if given is None else backbones.given(card, given)
        facts = ModelFacts(
            weights_digest=backbone.weights_digest(),
            arch=backbone.arch(),
            input=backbone.input,
            poolings=backbone.poolings,
            default_pooling=backbone.default_pooling,
            parameters=backbone.parameter_count(),
            informative=backbone.informative,
            library=backbone.library,
            file_sha256=file_sha256(state.path),
        )
        remember_facts(card, self.settings, facts)
        return Loaded(backbone, facts, state.source, self.device)

    def _card(self, name: str) -> ModelCard:
        return model_zoo.get(name, self.settings.shelves)

    def _load_data(self, card: TaskCard, limit: int) -> Data:
        key = (card.name, limit)
        if self._data is None or self._data[0] != key:
            self._data, self._memory = None, {}
            splits = datasets.load(card, self.settings.data)
            table = index.tracked(card, self.settings.data, self.settings.cache, self.progress, splits)
            keep = {role: limited(len(split), limit) for role, split in splits.items()}
            self._data = (
                key,
                Data(
                    {role: split.take(keep[role]) for role, split in splits.items()},
                    {role: table.digests[role][keep[role]] for role in splits},
                    table.task_digest,
                ),
            )
        return self._data[1]

    def _trial(self, job: Job, loaded: Loaded, data: Data, spec: Spec, identity: str = "") -> tuple[Trial, Cost]:
        """Return what a job's protocol looks at, and what its features cost; long training keeps its state under the
        identity of the job's record, and what it chose under what all seeds of the job share."""
        supply = CachedSupply(
            backbone=loaded.backbone,
            spec=spec,
            data=data,
            store=self.store,
            work=self.work,
            progress=self.progress,
            label=f"{job.model.name} × {job.task.name}",
            seed=job.seed,
            memory=self._memory,
            folder=self.settings.data,
        )
        trial = Trial(
            classes=job.task.classes,
            seed=job.seed,
            sizes={role: len(split) for role, split in data.splits.items()},
            labels={role: split.labels for role, split in data.splits.items() if role in ("train", "val")},
            supply=supply,
            targets={
                role: split.targets
                for role, split in data.splits.items()
                if role in ("train", "val") and split.targets is not None
            },
            informative=loaded.facts.informative,
            device=self.device,
            class_names=job.task.class_names or data.splits["test"].class_names,
            prompts=job.task.prompts,
            every_score=metrics.get(headline(job.task, job.protocol)).every_score,
            backbone=loaded.backbone,
            shifts={name: shift.classes for name, shift in job.task.shifts.items()},
            metric=headline(job.task, job.protocol),
            pooled=job.pooled,
            precision=job.precision,
            at_once=self.settings.batch_size,
            compile=self.settings.compile,
            state=self._training / identity if identity else None,
            choice=self._training / f"{self._shared(job, loaded, data)}.json" if identity else None,
        )
        return trial, supply.cost


def run_planned(
    planned: Sequence[Planned],
    settings: Settings,
    *,
    fail_fast: bool = False,
    on_record: Callable[[Job, Record, bool], None] | None = None,
    progress: Progress | None = None,
    given: Mapping[str, nn.Module] | None = None,
) -> Outcome:
    """Run the jobs of a plan that have no record; torch is imported only if there is one.

    `given` holds the torch modules, by the names of their cards, that no card can load.
    """
    results = Results(settings.results)
    done = [results.get(item.record_id) for item in planned if item.state == "done"]
    skipped = [Failure(item.job, UnsuitedError(item.reason)) for item in planned if item.state == "skip"]
    if not (jobs := undone(planned, settings)):
        distributed.leave()
        return Outcome(present=done, skipped=skipped)
    preflight(settings)
    runner = Runner(settings, progress or choose(settings.progress), given)
    outcome = runner.run(jobs, fail_fast=fail_fast, on_record=on_record)
    if not outcome.failures:
        distributed.leave()
    return dataclasses.replace(outcome, present=[*done, *outcome.present], skipped=[*skipped, *outcome.skipped])
