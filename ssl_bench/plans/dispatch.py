"""Jobs of a plan on an executor, from the first to the last: news, attempts after a machine is lost, and Ctrl-C."""

from __future__ import annotations

import dataclasses
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from ssl_bench import interrupts
from ssl_bench.errors import EXIT_JOBS_FAILED
from ssl_bench.executors.base import Executor, Work
from ssl_bench.plans.job_files import JobState
from ssl_bench.progress import Progress

PATIENCE = 1.0
"""Seconds between two looks at the engine."""
SHARE = 20
"""A look at all jobs waits so many times as long as the last one took: of a hundred thousand it takes a while."""
NONE = JobState()


@dataclasses.dataclass(frozen=True)
class Ended:
    """How the jobs that were handed over ended."""

    done: tuple[int, ...]
    failed: tuple[int, ...]
    """They gave an error, or were lost as often as was allowed."""
    left: tuple[int, ...]
    """They were not begun, or stopped."""


def dispatch(
    work: Work,
    executor: Executor,
    indices: Sequence[int],
    progress: Progress,
    *,
    attempts: int = 3,
    fail_fast: bool = False,
) -> Ended:
    """Have jobs done, and return how they ended. A job whose process or machine is lost is handed over again, until it
    was begun `attempts` times.

    After the first Ctrl-C, and with `fail_fast` after the first failure, nothing more is started and what runs comes to
    its end; the second Ctrl-C ends it.
    """
    watch = _Watch(work, executor, indices, progress, attempts)
    try:
        with interrupts.gently(progress.say, executor.stop):
            executor.submit(indices)
            while not watch.look():
                if fail_fast and watch.failed() and not watch.stopping:
                    watch.stopping = True
                    executor.stop()
            watch.stopping |= interrupts.asked()
    except KeyboardInterrupt:
        executor.cancel()
        watch.stopping = True
    finally:
        executor.close()
    return watch.ended()


class _Watch:
    """What is known of the jobs that were handed over."""

    def __init__(
        self, work: Work, executor: Executor, indices: Sequence[int], progress: Progress, attempts: int
    ) -> None:
        self.work, self.executor, self.indices, self.progress = work, executor, indices, progress
        self.attempts = attempts
        self.stopping = False
        self._before = work.files.states()
        self._now = dict(self._before)
        self._tries = Counter(indices)
        self._silent: dict[int, float] = {}
        """Job to when it was found ended without a word."""
        self._next_look = 0.0

    def look(self) -> bool:
        """Take in what has changed, hand lost jobs over again, and return whether all is over."""
        states = self.executor.poll(min(PATIENCE, max(0.0, self._next_look - time.monotonic())) or PATIENCE)
        if (start := time.monotonic()) < self._next_look:
            return False
        self._read()
        over = [index for index in self.indices if states[index] == "ended"]
        is_over = self._settle(over)
        self._next_look = time.monotonic() + SHARE * (time.monotonic() - start)
        return is_over

    def _settle(self, over: Sequence[int]) -> bool:
        """Hand over again those of the jobs that the engine has let go of which left no word, and return whether all is
        over."""
        silent = [index for index in over if not self._has_ended(index)]
        now = time.monotonic()
        self._silent = {index: self._silent.get(index, now) for index in silent}
        if self.stopping or interrupts.asked():
            return len(over) == len(self.indices)
        lost = [index for index, since in self._silent.items() if now - since >= self.executor.grace]
        again = [index for index in lost if self._tries[index] < self.attempts]
        for index in again:
            self._tries[index] += 1
            self.progress.say(f"{self._label(index)}: lost with its process; attempt {self._tries[index]}")
        if again:
            self.executor.submit(again)
        return len(over) == len(self.indices) and len(lost) == len(silent) and not again

    def _read(self) -> None:
        """Read how the jobs stand, and tell what is new."""
        earlier, self._now = self._now, self.work.files.states()
        changed = [i for i in self.indices if self._has_ended(i) and self._now[i] != earlier.get(i, NONE)]
        first = sum(map(self._has_ended, self.indices)) - len(changed) + 1
        for count, index in enumerate(changed, first):
            report = self.work.files.report(index)
            words = "; ".join(str(error["error"]) for error in report.get("errors", ()))
            said = f"failed: {words}" if words else f"done in {report.get('seconds', 0):.1f} s"
            self.progress.say(f"[{count}/{len(self.indices)}] {self._label(index)}: {said}")

    def _has_ended(self, index: int) -> bool:
        """Tell whether a job has come to an end since it was handed over."""
        now, before = self._now.get(index, NONE), self._before.get(index, NONE)
        return now.state in ("done", "failed") and now.changed > before.changed

    def _label(self, index: int) -> str:
        return self.work.plan.job(index).label

    def failed(self) -> list[int]:
        return [index for index in self.indices if self._has_ended(index) and self._now[index].state == "failed"]

    def ended(self) -> Ended:
        """Return how it ended, and note beside the plan which jobs were lost for good."""
        self._read()
        failed = self.failed()
        silent = [index for index in self.indices if not self._has_ended(index)]
        if not self.stopping:
            self._give_up(silent)
            failed, silent = [*failed, *silent], []
        rest = {*failed, *silent}
        return Ended(tuple(index for index in self.indices if index not in rest), tuple(failed), tuple(silent))

    def _give_up(self, indices: Iterable[int]) -> None:
        for index in indices:
            words = f"its process ended without a word, {self._tries[index]} times; see {self.work.files.folder}/*.log"
            said = {"job": self._label(index), "error": words, "kind": "Lost", "exit_code": EXIT_JOBS_FAILED}
            self.work.files.end(index, {"errors": [said]})
