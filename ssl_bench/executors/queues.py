"""Jobs in the order in which they may start, for executors that hand them out themselves."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence

from ssl_bench.executors.base import State
from ssl_bench.plans.plan_file import Plan


class Queue:
    """Jobs that wait for others, are ready, run, or have ended."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.states: dict[int, State] = {}
        self._ready: dict[tuple[bool, bool], dict[str, collections.deque[int]]] = {
            (light, first): {} for light in (True, False) for first in (True, False)
        }
        """Light ones, and those that pass images through a network; of each those that go first, and others."""
        self._awaited: dict[int, set[int]] = {}
        """Job to those that it still comes after."""
        self._followers: dict[int, list[int]] = collections.defaultdict(list)

    def add(self, indices: Sequence[int]) -> None:
        """Take jobs in; what a job comes after and was not taken in is not waited for."""
        self.states |= dict.fromkeys(indices, "waiting")
        for index in indices:
            awaited = {other for other in self.plan.job(index).after if self.states.get(other, "ended") != "ended"}
            self._awaited[index] = awaited
            for other in awaited:
                self._followers[other].append(index)
            if not awaited:
                self._make_ready(index)

    def _make_ready(self, index: int) -> None:
        job = self.plan.job(index)
        self._ready[job.light, job.first].setdefault(job.model, collections.deque()).append(index)

    def take(self, *kinds: bool, model: str = "") -> int | None:
        """Return the next job, which runs from now on; None where none is ready. `kinds` are looked through in their
        order: True for light jobs, False for others. In each, what the plan has go first does, and then what is of
        `model`, which is loaded already."""
        for kind in itertools.product(kinds, (True, False)):
            if ready := self._ready[kind]:
                chosen = model if model in ready else next(iter(ready))
                index = ready[chosen].popleft()
                if not ready[chosen]:
                    del ready[chosen]
                self.states[index] = "running"
                return index
        return None

    def end(self, index: int) -> None:
        """Note that nothing more will come of a job."""
        self.states[index] = "ended"
        for follower in self._followers.pop(index, ()):
            self._awaited[follower].discard(index)
            if not self._awaited[follower] and self.states[follower] == "waiting":
                self._make_ready(follower)

    def stop(self) -> None:
        """Let nothing more start."""
        for ready in self._ready.values():
            ready.clear()
        self.states = {index: "ended" if state == "waiting" else state for index, state in self.states.items()}
