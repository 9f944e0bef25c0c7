"""How far the jobs of a plan have come and how long the rest takes, from the plan's folder alone."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ssl_bench.errors import UsageError
from ssl_bench.plans import plan_file
from ssl_bench.plans.job_files import JobFiles, JobState
from ssl_bench.plans.plan_file import Kind, Plan, PlanJob


@dataclasses.dataclass(frozen=True)
class Count:
    """How many jobs of a kind have come how far."""

    kind: Kind
    done: int
    running: int
    failed: int
    left: int
    seconds: float | None
    """Mean time of those that are done, or else what the plan expected; None where nothing is known."""


@dataclasses.dataclass(frozen=True)
class Status:
    """How far a plan has come."""

    counts: tuple[Count, ...]
    running: tuple[int, ...]
    failed: tuple[int, ...]
    states: Mapping[int, JobState]
    left_seconds: float | None
    """Until all is done, if as many jobs run at once as do now; None where that is not known."""

    @property
    def finished(self) -> bool:
        return not self.running and all(count.left == 0 for count in self.counts)


def find(place: Path | None, cache: Path) -> Path:
    """Return the folder of a plan: of the one that is named, or of the one that `run` made last.

    Raises UsageError where there is none.
    """
    if place is not None:
        return place if place.is_dir() else place.parent
    plans = sorted((cache / "plans").glob(f"*/{plan_file.NAME}"), key=lambda path: path.stat().st_mtime)
    if not plans:
        raise UsageError(f"no plan is in {cache / 'plans'}; name the folder of one, or its file")
    return plans[-1].parent


def read(plan: Plan, folder: Path, now: float | None = None) -> Status:
    """Return how far the jobs of a plan have come, at `now`, in seconds since 1970."""
    states = JobFiles(folder).states()
    by_state: dict[str, list[int]] = {"done": [], "running": [], "failed": [], "left": []}
    for index in range(len(plan.jobs)):
        by_state[states.get(index, JobState()).state].append(index)
    counts = []
    for kind in dict.fromkeys(job.kind for job in plan.jobs):
        mine = {
            state: [index for index in indices if plan.jobs[index].kind == kind] for state, indices in by_state.items()
        }
        numbers = {state: len(indices) for state, indices in mine.items()}
        counts.append(Count(kind, **numbers, seconds=_usual(plan.jobs, mine["done"], states, kind)))
    return Status(
        tuple(counts),
        tuple(by_state["running"]),
        tuple(by_state["failed"]),
        states,
        _left(plan.jobs, counts, by_state["running"], states, time.time() if now is None else now),
    )


def _usual(jobs: Sequence[PlanJob], done: Sequence[int], states: Mapping[int, JobState], kind: Kind) -> float | None:
    """Return how long a job of a kind takes."""
    if done:
        return sum(states[index].seconds for index in done) / len(done)
    expected = [job.seconds for job in jobs if job.kind == kind]
    known = [seconds for seconds in expected if seconds is not None]
    return sum(known) / len(known) if known and len(known) == len(expected) else None


def _left(
    jobs: Sequence[PlanJob], counts: Sequence[Count], running: Sequence[int], states: Mapping[int, JobState], now: float
) -> float | None:
    usual = {count.kind: count.seconds for count in counts}
    total = 0.0
    for count in counts:
        if count.left + count.running and count.seconds is None:
            return None
        total += count.left * (count.seconds or 0.0)
    for index in running:
        total += max(0.0, (usual[jobs[index].kind] or 0.0) - (now - states[index].started))
    return total / max(1, len(running))
