"""Jobs on an executor from the first to the last, on one that does them in this process and loses some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ssl_bench.executors import base, ray
from ssl_bench.executors.base import State, Work
from ssl_bench.executors.queues import Queue
from ssl_bench.plans.dispatch import Ended, dispatch
from ssl_bench.plans.plan_job import Doer
from ssl_bench.progress import Progress
from ssl_bench.results.store import Results
from tests.executors.conftest import PIXELS, Make
from tests.hearing import Heard


class Forgetful(base.Executor):
    """Does one job at each look, in this process, and loses as many of each as it was told."""

    def __init__(self, work: Work, lost: Mapping[int, int]) -> None:
        super().__init__(work, 1, {})
        self.doer = Doer(work.plan, work.plan.settings(), work.folder)
        self.queue = Queue(work.plan)
        self.lost = dict(lost)
        self.begun: list[int] = []
        self.closed = False

    def submit(self, indices: Sequence[int]) -> None:
        self.queue.add(indices)

    def poll(self, seconds: float) -> Mapping[int, State]:
        index = self.queue.take(False, True)
        if index is not None:
            self.begun.append(index)
            self.lost[index] = self.lost.get(index, 0) - 1
            if self.lost[index] < 0:
                self.doer.do(index)
            self.queue.end(index)
        return self.queue.states

    def stop(self) -> None:
        self.queue.stop()

    def cancel(self) -> None:
        self.queue.stop()

    def close(self) -> None:
        self.closed = True


def test_what_is_lost_is_begun_again(make: Make) -> None:
    """A job that its engine loses twice is begun three times and done; every job is told of once."""
    planned, heard = make(PIXELS, shard_images=900), Heard()
    executor = Forgetful(planned.work, {1: 2})
    assert dispatch(planned.work, executor, [0, 1, 2], heard) == Ended((0, 1, 2), (), ())
    assert sorted(executor.begun) == [0, 1, 1, 1, 2]
    assert executor.closed
    assert [line.partition("]")[0] for line in heard.lines if line[0] == "["] == ["[1/3", "[2/3", "[3/3"]
    assert sum("lost with its process; attempt" in line for line in heard.lines) == 2
    assert len(Results(planned.settings.results).records()) == 1


def test_what_is_lost_too_often_has_failed(make: Make) -> None:
    """A job that is lost as often as it may be has failed, with a word of that beside the plan, and stops no other."""
    planned = make(PIXELS, shard_images=900)
    executor = Forgetful(planned.work, {0: 9})
    assert dispatch(planned.work, executor, [0, 1, 2], Heard(), attempts=2) == Ended((1, 2), (0,), ())
    assert "without a word, 2 times" in planned.work.files.report(0)["errors"][0]["error"]
    assert len(Results(planned.settings.results).records()) == 1


def test_the_first_failure_may_end_all(make: Make) -> None:
    """With `fail_fast` nothing is begun after a job has failed; what was not begun is left."""
    planned = make("module:tests.executors.slow:absent,size=8", PIXELS)
    executor = Forgetful(planned.work, {})
    ended = dispatch(planned.work, executor, range(4), Heard(), fail_fast=True)
    assert (ended.failed, executor.begun[0]) == ((0,), 0)
    assert set(ended.done) | set(ended.left) == {1, 2, 3}
    assert len(ended.left) >= 1
    again = dispatch(planned.work, Forgetful(planned.work, {}), range(4), Heard())
    assert (again.done, again.failed, again.left) == ((2, 3), (0, 1), ())


def test_a_worker_without_the_folder_carries_back_what_came(make: Make, tmp_path: Path) -> None:
    """A worker of Ray that does not see the plan's folder does its job from the plan that came with it, and hands back
    what came of it and what it said; one that sees the folder leaves both there."""
    planned = make(PIXELS)
    report, said = ray.do(planned.work.plan.table, str(tmp_path / "elsewhere"), 0, {})
    assert (report["errors"], report["images"]) == ([], 1617)
    assert "extract pixels" in said
    assert planned.work.files.states() == {}
    report, said = ray.do(planned.work.plan.table, str(planned.work.folder), 1, {"batch_size": 32})
    assert (report["errors"], len(report["written"]), said) == ([], 1, "")
    assert planned.work.files.states()[1].state == "done"
    [record] = Results(planned.settings.results).records()
    assert record.environment["batch_size"] == 32


def test_an_executor_that_ends_with_its_process_cannot_be_left_alone(make: Make) -> None:
    """`--detach` is refused where the jobs would end with the process."""
    from ssl_bench.cli.execution import run_on
    from ssl_bench.errors import UsageError
    from ssl_bench.executors import Choice

    planned = make(PIXELS)
    with pytest.raises(UsageError, match="--detach: jobs of the executor local end with this process"):
        run_on(Choice("local"), [], planned.settings, Progress(), detach=True)
