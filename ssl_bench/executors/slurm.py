"""Slurm, through submitit: array jobs that go on without the process that submitted them.

A task of an array does one job, or several of one kind. Jobs wait for arrays of those that they come after. What is
preempted or runs out of time is queued again and goes on where it was: finished blocks of features are kept. Whether a
task is still to be expected `squeue` says, which needs no accounting.
"""

from __future__ import annotations

import contextlib
import getpass
import itertools
import json
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ssl_bench.errors import MissingError, UsageError, missing_package, reason
from ssl_bench.executors import base
from ssl_bench.executors.base import State, Work
from ssl_bench.files import canonical_json, write_text

ARRAY = 1000
"""Tasks of one array; clusters usually take up to MaxArraySize = 1001."""
PENDING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")


class Task:
    """What one task of an array does; submitit pickles it."""

    def __init__(self, folder: Path, overrides: Mapping[str, Any]) -> None:
        self.folder = folder
        self.overrides = dict(overrides)
        self.submitted = time.time()

    def __call__(self, indices: Sequence[int]) -> list[int]:
        """Do jobs one after another, less those that an earlier attempt at this task did; return those that failed."""
        from ssl_bench.plans import plan_file
        from ssl_bench.plans.plan_job import Doer

        plan = plan_file.read(self.folder)
        doer = Doer(plan, plan.settings(self.overrides), self.folder)
        states = doer.files.states()
        done = {i for i, state in states.items() if state.state == "done" and state.changed > self.submitted}
        return [index for index in indices if index not in done and doer.do(index, echo=True)["errors"]]

    def checkpoint(self, indices: Sequence[int]) -> Any:
        """Return what is queued in place of a task that is preempted or out of time: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, indices)


class Executor(base.Executor):
    """A cluster whose nodes see the plan's folder."""

    resumes = True
    grace = 30.0  # NFS shows other machines' files with a delay
    options: ClassVar[Mapping[str, str]] = {
        "partition": "of what passes images through a network",
        "cpu_partition": "of probes of frozen features, which get no GPU there; else they go where all goes",
        "account": "to charge",
        "qos": "quality of service",
        "constraint": "features that nodes must have",
        "gpus": "GPUs of a task [0]",
        "cpus": "cores of a task [4]",
        "memory_gb": "memory of a task",
        "minutes": "time limit of a task [240]",
        "timeouts": "times that a task may run out of time and be queued again [10]",
        "jobs_per_task": "jobs that a task does one after another [so many that 1000 tasks do all]",
        "extra": "further options of sbatch, as exclude=n1+reservation=x",
        "poll_seconds": "seconds between two looks at the queue [10]",
    }

    def __init__(self, work: Work, parallel: int, stated: Mapping[str, str]) -> None:
        super().__init__(work, parallel, stated)
        try:
            import submitit
        except ImportError:
            raise missing_package("submitit", "slurm", "the executor slurm") from None
        self._submitit: Any = submitit
        self._tasks: dict[int, str] = {}
        """Job to the id of the task that does it."""
        self._states: dict[int, State] = {}
        self._looked = 0.0
        self._seconds = base.whole_number(self.stated, "poll_seconds", 10)
        self._memo = work.folder / "slurm" / "tasks.json"

    def submit(self, indices: Sequence[int]) -> None:
        self._adopt(indices)
        left = [index for index in indices if self._states.get(index, "ended") == "ended"]
        jobs = {index: self.work.plan.job(index) for index in left}
        size = max(1, base.whole_number(self.stated, "jobs_per_task", -(-len(left) // ARRAY)))
        split = "cpu_partition" in self.stated
        for layer in self._layers(left):
            for light in (False, True) if split else (False,):
                mine = [index for index in layer if not split or jobs[index].light is light]
                tasks = [list(part) for part in _parts(mine, size)]
                for array in _parts(tasks, ARRAY):
                    self._send(array, light)
        write_text(self._memo, canonical_json({str(index): task for index, task in self._tasks.items()}))

    def _adopt(self, indices: Sequence[int]) -> None:
        """Take over what an earlier process submitted and Slurm still has, so that it is not submitted again."""
        with contextlib.suppress(OSError, ValueError):
            earlier = json.loads(self._memo.read_text(encoding="utf-8"))
            queue = queued(getpass.getuser()) or {}
            for index in indices:
                task = earlier.get(str(index), "")
                if task in queue and index not in self._tasks:
                    self._tasks[index], self._states[index] = task, queue[task]

    def _layers(self, indices: Sequence[int]) -> list[list[int]]:
        """Return jobs so that every one stands in a later layer than those that it comes after."""
        depths: dict[int, int] = {}
        taken = set(indices)
        for index in sorted(indices):  # a job comes after lower numbers only
            depths[index] = max((depths[i] + 1 for i in self.work.plan.job(index).after if i in taken), default=0)
        layers: list[list[int]] = [[] for _ in range(max(depths.values(), default=-1) + 1)]
        for index in indices:
            layers[depths[index]].append(index)
        return layers

    def _send(self, tasks: Sequence[Sequence[int]], light: bool) -> None:
        """Submit one array."""
        after = {
            self._tasks[other].partition("_")[0]
            for indices in tasks
            for index in indices
            for other in self.work.plan.job(index).after
            if self._states.get(other, "ended") != "ended"
        }
        executor = self._submitit.SlurmExecutor(
            self.work.folder / "slurm", max_num_timeout=base.whole_number(self.stated, "timeouts", 10)
        )
        executor.update_parameters(**self._parameters(light, after))
        task = Task(self.work.folder, {"device": "cpu"} if light else {})
        try:
            with executor.batch():
                sent = [executor.submit(task, list(indices)) for indices in tasks]
        except (OSError, RuntimeError, self._submitit.core.utils.FailedJobError) as error:
            raise MissingError(f"sbatch refuses the jobs: {reason(error)}") from error
        for job, indices in zip(sent, tasks, strict=True):
            self._tasks |= dict.fromkeys(indices, job.job_id)
            self._states |= dict.fromkeys(indices, "waiting")
        self._looked = time.monotonic()  # a queue needs a moment to show what it took

    def _parameters(self, light: bool, after: Iterable[str]) -> dict[str, Any]:
        """Return what submitit's SlurmExecutor is told of an array."""
        cpus = base.whole_number(self.stated, "cpus", 4)
        found: dict[str, Any] = {
            "job_name": "ssl-bench",
            "time": base.whole_number(self.stated, "minutes", 240),
            "cpus_per_task": cpus,
            "setup": [f"export OMP_NUM_THREADS={cpus}"],
            "array_parallelism": self.parallel or ARRAY,
        }
        found |= {key: self.stated[key] for key in ("account", "qos", "constraint") if key in self.stated}
        place = self.stated.get("cpu_partition" if light else "partition", "")
        found |= {"partition": place} if place else {}
        found |= {"mem": f"{self.stated['memory_gb']}GB"} if "memory_gb" in self.stated else {}
        if (gpus := base.whole_number(self.stated, "gpus", 0)) and not light:
            found["gpus_per_node"] = gpus
        extra = dict(_pair(word) for word in self.stated.get("extra", "").split("+") if word)
        if ids := ":".join(sorted(after)):
            extra["dependency"] = f"afterany:{ids}"
        return found | ({"additional_parameters": extra} if extra else {})

    def poll(self, seconds: float) -> Mapping[int, State]:
        time.sleep(max(0.0, min(seconds, self._looked + self._seconds - time.monotonic())))
        if time.monotonic() >= self._looked + self._seconds:
            self._looked = time.monotonic()
            queue = queued(getpass.getuser())
            if queue is not None:
                self._states = {index: queue.get(task, "ended") for index, task in self._tasks.items()}
        return self._states

    def stop(self) -> None:
        self._end("--state=PENDING")

    def cancel(self) -> None:
        self._end()

    def _end(self, *words: str) -> None:
        arrays = sorted({task.partition("_")[0] for task in self._tasks.values()})
        if arrays:
            subprocess.run(["scancel", *words, *arrays], check=False)


def queued(user: str) -> dict[str, State] | None:
    """Return what Slurm still has of a user's tasks, by their ids as "12_3"; None where it does not answer now.

    Raises MissingError where there is no Slurm.
    """
    line = ["squeue", "--noheader", "--array", f"--user={user}", "--format=%i %T"]
    try:
        said = subprocess.run(line, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise MissingError("there is no squeue here: the executor slurm runs on a machine of a cluster") from error
    if said.returncode:
        return None
    rows = (row.split() for row in said.stdout.splitlines())
    return {row[0]: "waiting" if row[1] in PENDING else "running" for row in rows if len(row) == 2}


def _parts(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return itertools.takewhile(bool, (items[start : start + size] for start in itertools.count(0, size)))


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals:
        raise UsageError(f"--executor-option extra: {word!r} is not key=value")
    return key, value
