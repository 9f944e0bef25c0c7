"""One job of a plan: features of a shard, or the records of what rests on features."""

from __future__ import annotations

import dataclasses
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench import shards
from ssl_bench.errors import EXIT_JOBS_FAILED, SslBenchError
from ssl_bench.extraction import DENSE
from ssl_bench.facts import remember_speed
from ssl_bench.features import Cost
from ssl_bench.jobs import Job, unsuited
from ssl_bench.machine import clear_errors, preflight
from ssl_bench.plans.job_files import JobFiles
from ssl_bench.plans.plan_file import Plan, PlanJob
from ssl_bench.progress import PlainProgress
from ssl_bench.results.record import Record
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings


class Doer:
    """Does jobs of one plan, one after another; what consecutive jobs share is loaded once."""

    def __init__(self, plan: Plan, settings: Settings, folder: Path) -> None:
        self.plan = plan
        self.settings = sized(settings)
        self.files = JobFiles(folder)
        self._runner: Runner | None = None

    def do(self, index: int, *, echo: bool = False) -> dict[str, Any]:
        """Do one job, keep what came of it beside the plan, and return that; `errors` tell what it failed at.

        No mistake of a job's is raised: whoever does many goes on to the next. Raises UsageError for an index that the
        plan has not.
        """
        job = self.plan.job(index)
        self.files.start(index)
        start = time.monotonic()
        with self.files.logged(index, echo):
            print(f"{job.label}: job {index} of {self.plan.where}", flush=True)
            report = self._attempt(job)
            report["seconds"] = round(time.monotonic() - start, 3)
            for error in report["errors"]:
                print(f"failed: {error['job']}: {error['error']}", flush=True)
        self.files.end(index, report)
        return report

    def _attempt(self, job: PlanJob) -> dict[str, Any]:
        try:
            with clear_errors():
                if self._runner is None:
                    preflight(self.settings)
                    self._runner = Runner(self.settings, PlainProgress())
                asked = self.plan.asked(job)
                return _extract(self._runner, asked, job) if job.kind == "extract" else _probe(self._runner, asked)
        except SslBenchError as error:
            return {"errors": [_said(job.label, error)]}
        except Exception as error:  # ours: the next job may be better off
            traceback.print_exc()
            return {"errors": [_said(job.label, error)]}


def sized(settings: Settings) -> Settings:
    """Return settings under which decoding keeps to the threads that this process was given, where it was."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if settings.workers >= 0 or not given.isdigit():
        return settings
    return dataclasses.replace(settings, workers=max(0, int(given) - 1))


def exit_code(report: Mapping[str, Any]) -> int:
    """Return what `run-job` exits with: a job that failed for one reason exits as that reason does."""
    codes = {error["exit_code"] for error in report["errors"]}
    if not codes:
        return 0
    return int(codes.pop()) if len(codes) == 1 and not report.get("records") else EXIT_JOBS_FAILED


def _said(label: str, error: Exception) -> dict[str, Any]:
    known = isinstance(error, SslBenchError)
    return {
        "job": label,
        "error": str(error) if known else f"{type(error).__name__}: {error}",
        "kind": type(error).__name__,
        "exit_code": error.exit_code if isinstance(error, SslBenchError) else EXIT_JOBS_FAILED,
    }


def _probe(runner: Runner, jobs: Sequence[Job]) -> dict[str, Any]:
    """Make the records of some jobs that share a model and a task."""
    written: list[str] = []
    present: list[str] = []

    def heard(job: Job, record: Record, new: bool) -> None:
        (written if new else present).append(record.record_id)
        print(f"{job.label}: {'written' if new else 'present'} {record.record_id[:8]}", flush=True)

    outcome = runner.run(jobs, on_record=heard)
    return {
        "errors": [_said(failure.job.label, failure.error) for failure in outcome.failures],
        "skipped": [_said(skipped.job.label, skipped.error) for skipped in outcome.skipped],
        "written": written,
        "present": present,
        "records": [*written, *present],
        "images": sum(int(record.timing.get("images_extracted", 0)) for record in outcome.written),
    }


def _extract(runner: Runner, jobs: Sequence[Job], job: PlanJob) -> dict[str, Any]:
    """Extract one shard of what some jobs read."""
    first = jobs[0]
    data, loaded = runner.data(first), runner.loaded(first.model)
    labels = {role: split.labels for role, split in data.splits.items()}
    suited = [one for one in jobs if not unsuited(one, labels)]
    cost = Cost()
    if loaded.facts.informative and suited:
        loaded.backbone.resolve_pooling(first.pooled)
        for view, splits in _views(suited, {role: len(split) for role, split in data.splits.items()}).items():
            _pass(runner, first, job.shard, view, splits, cost)
    return {"errors": [], "images": cost.extracted, "cached": cost.cached}


def _pass(runner: Runner, job: Job, shard: tuple[int, int], view: str, splits: Sequence[str], total: Cost) -> None:
    """Extract a shard of some splits in one view, and add up what it cost."""
    data, loaded = runner.data(job), runner.loaded(job.model)
    spec = loaded.facts.spec(job.pooled, job.precision)
    seen = dataclasses.replace(spec, pooled=DENSE) if view == DENSE else dataclasses.replace(spec, view=view)
    part = f"-{shard[0]}-of-{shard[1]}" if shard[1] > 1 else ""
    for split, where in shards.positions(
        data.digests, splits, runner.settings.batch_size or shards.UNIT, shard
    ).items():
        label = " ".join(word for word in (f"{job.model.name} × {job.task.name}", split, view) if word)
        images, digests = data.splits[split].take(where), data.digests[split][where]
        cost = runner.store.extract(loaded.backbone, seen, images, digests, runner.work, runner.progress, label, part)
        remember_speed(runner.settings, seen, cost)
        total.add(cost)


def _views(jobs: Sequence[Job], sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """Return what the jobs read and keep: view of the images to splits, both in a fixed order."""
    found: dict[str, set[str]] = {}
    for job in jobs:
        for view, splits in job.protocol.passes(sizes).kept.items():
            found.setdefault(view, set()).update(splits)
    return {view: [split for split in sizes if split in splits] for view, splits in sorted(found.items())}
