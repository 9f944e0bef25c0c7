"""Ray, on a cluster that runs: one task per job, as many at once as the cluster has room for.

Where workers see the plan's folder, they write what came of a job there; elsewhere Ray carries the plan there and what
came of it back, so that no file system need be shared. A task whose node dies is begun again by Ray.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ssl_bench.errors import EXIT_JOBS_FAILED, MissingError, missing_package, reason
from ssl_bench.executors import base
from ssl_bench.executors.base import State, Work
from ssl_bench.executors.queues import Queue
from ssl_bench.files import write_text
from ssl_bench.plans.plan_file import NAME, Plan

_DOERS: dict[str, Any] = {}
"""In a worker: what does the jobs of the plan that it last met."""


def do(table: Mapping[str, Any], folder: str, index: int, overrides: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Do one job in a worker; return what came of it and, where the folder is not seen from there, what it said."""
    from ssl_bench.plans.plan_job import Doer

    plan = Plan(table, f"{folder}/{NAME}")
    seen = (Path(folder) / NAME).is_file()
    key = f"{folder} {plan.identity} {dict(overrides)}"
    if key not in _DOERS:
        _DOERS.clear()
        own = None if seen else tempfile.TemporaryDirectory(prefix="ssl-bench-")  # removed with the worker
        _DOERS[key] = Doer(plan, plan.settings(overrides), Path(own.name if own else folder)), own
    doer, _ = _DOERS[key]
    report = doer.do(index)
    return report, "" if seen else doer.files.path(index, "log").read_text(encoding="utf-8")


class Executor(base.Executor):
    """A Ray cluster."""

    options: ClassVar[Mapping[str, str]] = {
        "address": "of the cluster [RAY_ADDRESS, else the one that runs here]",
        "cpus": "cores of a task [1]",
        "gpus": "GPUs of a task that passes images through a network, such as 1 or 0.5 [0]",
        "retries": "times that Ray begins a task again whose node died [3]",
    }

    def __init__(self, work: Work, parallel: int, stated: Mapping[str, str]) -> None:
        super().__init__(work, parallel, stated)
        try:
            import ray
        except ImportError:
            raise missing_package("ray", "ray", "the executor ray") from None
        self._ray: Any = ray
        address = self.stated.get("address") or os.environ.get("RAY_ADDRESS") or "auto"
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            raise MissingError(
                f"no Ray cluster answers at {address}: {reason(error).splitlines()[0]}; `ray start --head` starts one, "
                "--executor-option address=HOST:PORT names another"
            ) from error
        self._cpus = base.whole_number(self.stated, "cpus", 1)
        self._gpus = float(self.stated.get("gpus", 0))
        self._task = ray.remote(do)
        self._retries = base.whole_number(self.stated, "retries", 3)
        self._plan = ray.put(work.plan.table)
        self._queue = Queue(work.plan)
        self._running: dict[Any, int] = {}

    def submit(self, indices: Sequence[int]) -> None:
        self._queue.add(indices)

    def poll(self, seconds: float) -> Mapping[int, State]:
        self._hand_out()
        if self._running:
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
            if ready:
                ready, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            for task in ready:
                self._take_back(task)
            self._hand_out()
        return self._queue.states

    def _hand_out(self) -> None:
        """Start what there is room for: what only waits in Ray's own queue could not be stopped."""
        while len(self._running) < (self.parallel or self._room()):
            index = self._queue.take(False, True)
            if index is None:
                return
            light = self.work.plan.job(index).light
            gpus = 0 if light else self._gpus
            task = self._task.options(num_cpus=self._cpus, num_gpus=gpus, max_retries=self._retries)
            overrides = {"device": "cpu"} if self._gpus and light else {}
            self._running[task.remote(self._plan, str(self.work.folder), index, overrides)] = index

    def _room(self) -> int:
        """Return how many tasks the cluster can take at once as it is now, one at least."""
        found = self._ray.cluster_resources()
        return max(1, int(found.get("CPU", 0)) // max(1, self._cpus))

    def _take_back(self, task: Any) -> None:
        index = self._running.pop(task)
        files = self.work.files
        try:
            report, said = self._ray.get(task)
            if said:
                files.start(index)
                write_text(files.path(index, "log"), said)
                files.end(index, report)
        except self._ray.exceptions.RayTaskError as error:  # it was never begun: no plan, or no ssl_bench there
            words = str(error.cause or error).strip().splitlines()[-1]
            said = {"job": self.work.plan.job(index).label, "error": f"a worker of Ray cannot do it: {words}"}
            files.end(index, {"errors": [said | {"kind": "RayTaskError", "exit_code": EXIT_JOBS_FAILED}]})
        except self._ray.exceptions.RayError:
            pass  # lost with its node: whoever waits finds no word of its end
        self._queue.end(index)

    def stop(self) -> None:
        self._queue.stop()

    def cancel(self) -> None:
        self._queue.stop()
        for task, index in self._running.items():
            self._ray.cancel(task, force=True)
            self._queue.end(index)
        self._running = {}

    def close(self) -> None:
        self._ray.shutdown()
