"""This machine: one process per GPU, and a pool of processes without one among which the cores are divided.

Without a GPU the pool does everything. Beside GPUs it takes the probes of frozen features, so that the GPUs are left to
what passes a network; a GPU that finds nothing else to do takes these, too.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import IO, ClassVar

from ssl_bench.executors import base
from ssl_bench.executors.base import State, Work
from ssl_bench.executors.queues import Queue


class Worker:
    """A process of its own session, so that Ctrl-C in the terminal does not reach it."""

    def __init__(self, work: Work, name: str, threads: int, gpu: str | None) -> None:
        self.gpu = gpu
        self.job: int | None = None
        self.model = ""
        """Which it has loaded."""
        visible = {"CUDA_VISIBLE_DEVICES": gpu if gpu is not None else ""}
        environment = dict(os.environ) | {"OMP_NUM_THREADS": str(threads)} | visible
        stated = str(work.plan.table["settings"].get("device", "auto"))
        device = [] if gpu is not None or stated == "auto" else ["device=cpu"]
        line = [sys.executable, "-m", "ssl_bench.executors.worker", str(work.path), *device]
        work.files.folder.mkdir(parents=True, exist_ok=True)
        with (work.files.folder / f"{name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                line,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    @property
    def output(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout

    def begin(self, index: int, model: str) -> None:
        """Give it a job of a model; a process that is gone by now is found out when its output ends."""
        assert self.process.stdin is not None
        self.job, self.model = index, model
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{index}\n".encode())
            self.process.stdin.flush()

    def end(self, kill: bool) -> None:
        """Let it come to its end, or end it."""
        if kill:
            self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait()


class Executor(base.Executor):
    """Processes of this machine."""

    options: ClassVar[Mapping[str, str]] = {
        "gpus": "GPUs to use, as 0+1+3; else all that nvidia-smi lists",
        "threads": "threads of each process; else the cores are divided",
    }

    def __init__(self, work: Work, parallel: int, stated: Mapping[str, str]) -> None:
        super().__init__(work, parallel, stated)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        device = str(work.plan.table["settings"].get("device", "auto"))
        gpus = [] if device == "cpu" else self._gpus()
        self._slots: list[str | None] = [*gpus, *([None] * self._pool(cores, gpus))]
        stated_threads = os.environ.get("OMP_NUM_THREADS", "")
        most = int(stated_threads) if stated_threads.isdigit() else cores
        self._threads = base.whole_number(self.stated, "threads", max(1, min(most, cores // len(self._slots))))
        self._workers: dict[int, Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._queue = Queue(work.plan)

    def _gpus(self) -> list[str]:
        said = self.stated.get("gpus")
        found = visible_gpus() if said is None else [gpu for gpu in said.split("+") if gpu]
        return found[: self.parallel] if self.parallel else found

    def _pool(self, cores: int, gpus: Sequence[str]) -> int:
        """Return how many processes without a GPU there are."""
        if self.parallel:
            return max(0, self.parallel - len(gpus))
        return min(len(gpus), cores - 1) if gpus else max(1, cores // 4)

    def submit(self, indices: Sequence[int]) -> None:
        self._queue.add(indices)

    def poll(self, seconds: float) -> Mapping[int, State]:
        self._hand_out()
        for key, _ in self._selector.select(seconds) if self._workers else ():
            self._heard(key.data)
        self._hand_out()
        return self._queue.states

    def _heard(self, slot: int) -> None:
        """Take note of a job that has ended, or of a process that has."""
        worker = self._workers[slot]
        said = worker.output.readline()
        if worker.job is not None:
            self._queue.end(worker.job)
        worker.job = None
        if not said:
            self._dismiss(slot)

    def _dismiss(self, slot: int, kill: bool = False) -> None:
        worker = self._workers.pop(slot)
        self._selector.unregister(worker.output)
        worker.end(kill)

    def _hand_out(self) -> None:
        alone = all(gpu is None for gpu in self._slots)
        for slot, gpu in enumerate(self._slots):
            worker = self._workers.get(slot)
            if worker is not None and worker.job is not None:
                continue
            kinds = (True,) if gpu is None and not alone else (False, True)
            index = self._queue.take(*kinds, model=worker.model if worker is not None else "")
            if index is None:
                continue
            if worker is None:
                worker = self._workers[slot] = Worker(self.work, f"worker-{slot}", self._threads, gpu)
                self._selector.register(worker.output, selectors.EVENT_READ, slot)
            worker.begin(index, self.work.plan.job(index).model)

    def stop(self) -> None:
        self._queue.stop()

    def cancel(self) -> None:
        self._queue.stop()
        for slot, worker in list(self._workers.items()):
            if worker.job is not None:
                self._queue.end(worker.job)
            self._dismiss(slot, kill=True)

    def close(self) -> None:
        for slot in list(self._workers):
            self._dismiss(slot)
        self._selector.close()


def visible_gpus() -> list[str]:
    """Return the GPUs that processes of this one may use, without importing torch."""
    stated = os.environ.get("CUDA_VISIBLE_DEVICES")
    if stated is not None:
        return [gpu for gpu in stated.split(",") if gpu.strip() not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    line = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    said = subprocess.run(line, capture_output=True, text=True, check=False)
    return said.stdout.split() if said.returncode == 0 else []
