"""Jobs of a plan on an executor, from the first to the last: news, attempts after a machine is lost, and Ctrl-C."""

from __future__ import annotations

import dataclasses
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from ssl_bench.executors.base import Executor, Work
from ssl_bench.job_files import JobState
from ssl_bench.progress import Progress

PATIENCE = 1.0
"""Seconds between two looks at the engine."""


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the jobs that were handed over ended."""

    done: tuple[int, ...]
    failed: tuple[int, ...]
    """They gave an error, or were lost as often as was allowed."""
    left: tuple[int, ...]
    """They were not begun, or stopped."""


def dispatch(work: Work, executor: Executor, indices: Sequence[int], progress: Progress, attempts: int = 3) -> Ended:
    """Have jobs done, and return how they ended. A job whose process or machine is lost is handed over again, until
    it was begun `attempts` times.

    The first Ctrl-C lets what runs come to its end, the second ends it.
    """
    before = work.files.states()
    tries, told = Counter(indices), dict.fromkeys(indices, before.get(-1, JobState()))
    told |= {index: before[index] for index in indices if index in before}
    with _interruptible(executor, progress) as stopped:
        executor.submit(indices)
        while True:
            states = executor.poll(PATIENCE)
            told = _tell(work, told, progress)
            if any(states[index] != "ended" for index in indices):
                continue
            lost = [i for i in indices if not _is_new(before.get(i), told[i])]
            again = [] if stopped.is_set() else [i for i in lost if tries[i] < attempts]
            if not again:
                break
            for index in again:
                tries[index] += 1
                progress.say(f"{work.plan.job(index).label}: lost with its process; attempt {tries[index]}")
            executor.submit(again)
    return _ended(indices, told, lost, stopped.is_set(), work)


def _ended(indices: Sequence[int], told: dict[int, JobState], lost: Sequence[int], stopped: bool, work: Work) -> Ended:
    ended = [index for index in indices if index not in set(lost)]
    if not stopped:
        for index in lost:
            said = {"job": work.plan.job(index).label, "error": "lost with its process, again and again; see its log"}
            work.files.end(index, {"errors": [said | {"kind": "Lost", "exit_code": 3}]})
    return Ended(
        done=tuple(index for index in ended if told[index].state == "done"),
        failed=tuple([i for i in ended if told[i].state == "failed"] + ([] if stopped else list(lost))),
        left=tuple(lost) if stopped else (),
    )


def _is_new(before: JobState | None, now: JobState) -> bool:
    """Tell whether a job has ended since."""
    return now.state in ("done", "failed") and (before is None or now.changed > before.changed)


def _tell(work: Work, told: dict[int, JobState], progress: Progress) -> dict[int, JobState]:
    """Say what has changed, and return how it stands."""
    states = work.files.states()
    now = {index: states.get(index, JobState()) for index in told}
    count = sum(state.state in ("done", "failed") for state in now.values())
    for index, state in now.items():
        if state != told[index] and state.state in ("done", "failed"):
            report = work.files.report(index)
            words = "; ".join(str(error["error"]) for error in report.get("errors", ()))
            said = f"failed: {words}" if words else f"done in {report.get('seconds', 0):.1f} s"
            progress.say(f"[{count}/{len(now)}] {work.plan.job(index).label}: {said}")
    return now


@contextmanager
def _interruptible(executor: Executor, progress: Progress) -> Iterator[threading.Event]:
    """Take Ctrl-C for the executor's, once to stop and twice to cancel; the event tells that it came."""
    stopped = threading.Event()

    def heard(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            executor.cancel()
            raise KeyboardInterrupt
        stopped.set()
        progress.say("stopping: what runs comes to its end; Ctrl-C again ends it now")
        executor.stop()

    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    usual = signal.signal(signal.SIGINT, heard)
    try:
        yield stopped
    finally:
        signal.signal(signal.SIGINT, usual)
        executor.close()
