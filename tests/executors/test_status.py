"""`status` and `logs`: what the files beside a plan tell, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ssl_bench.errors import UsageError
from ssl_bench.plans import job_status
from ssl_bench.plans.job_files import JobFiles
from tests.cli.conftest import Command, lines
from tests.executors.conftest import PIXELS, VIT, Make


def _at(path: Path, seconds: float) -> None:
    os.utime(path, (seconds, seconds))


def _begin(files: JobFiles, index: int, start: float, end: float | None, error: str = "") -> None:
    """Leave the files of a job that began and perhaps ended at these times."""
    files.start(index)
    _at(files.path(index, "started.json"), start)
    if end is not None:
        errors = [{"job": "a job", "error": error, "exit_code": 3}] if error else []
        files.end(index, {"errors": errors, "seconds": end - start})
        _at(files.path(index, "error.json" if error else "done.json"), end)


def test_counts_and_time_left_by_hand(make: Make) -> None:
    """Of 6 extract and 2 probe jobs: 2 took 10 and 20 s, 1 failed, 2 run since 4 and 40 s; with 1 left and 2 probes of
    unknown length nothing is known of the rest, and once a probe took 6 s it is (15 + 11 + 0 + 6) / 2 s."""
    work = make(VIT, PIXELS, shard_images=600).work
    assert [job.kind for job in work.plan.jobs] == (["extract"] * 3 + ["probe"]) * 2
    for index, begun, ended, error in (
        (0, 0, 10, ""),
        (1, 0, 20, ""),
        (2, 0, 5, "broken"),
        (4, 96, None, ""),
        (5, 60, None, ""),
    ):
        _begin(work.files, index, 1000.0 + begun, None if ended is None else 1000.0 + ended, error)
    status = job_status.read(work.plan, work.folder, now=1100.0)
    [extract, probe] = status.counts
    assert (extract.done, extract.running, extract.failed, extract.left, extract.seconds) == (2, 2, 1, 1, 15.0)
    assert (probe.left, probe.seconds, status.left_seconds) == (2, None, None)
    assert (status.running, status.failed, status.finished) == ((4, 5), (2,), False)
    _begin(work.files, 3, 1090.0, 1096.0)
    status = job_status.read(work.plan, work.folder, now=1100.0)
    assert status.left_seconds == pytest.approx((15 + 11 + 0 + 6) / 2)


def test_a_job_that_is_begun_again_is_running_again(make: Make) -> None:
    """What counts of a job is what came last: begun again it runs, and its error is gone."""
    work = make(VIT).work
    _begin(work.files, 0, 1000.0, 1010.0, "broken")
    assert work.files.states()[0].state == "failed"
    _begin(work.files, 0, 1020.0, None)
    assert work.files.states()[0].state == "running"
    assert work.files.report(0) == {}
    _begin(work.files, 0, 1020.0, 1030.0)
    assert (work.files.states()[0].state, work.files.states()[0].seconds) == ("done", 10.0)


def test_status_says_what_runs_and_what_failed(make: Make, command: Command) -> None:
    """`status` prints counts, running jobs with their machine, and errors; it exits with 3 where a job failed."""
    work = make(VIT, shard_images=600).work
    _begin(work.files, 0, 1000.0, 1010.0, "the disk is full")
    _begin(work.files, 1, 1000.0, None)
    work.files.path(1, "log").write_text("a word\n")
    told = command("status", work.folder)
    assert told.code == 3
    assert lines(told.out) == [["extract", "0", "1", "1", "1", ""], ["probe", "0", "0", "0", "1", ""]]
    assert "failed: 0 extract digits_vit × digits shard 1 of 3: the disk is full" in told.err
    assert "running: 1 extract digits_vit × digits shard 2 of 3, " in told.err
    assert f" on {os.uname().nodename}, last word " in told.err
    plain = json.loads(command("status", work.path, "--json").out)
    assert (plain["running"], plain["failed"], plain["left_seconds"]) == ([1], [0], None)
    assert command("logs", "--plan", work.folder).out == "0\ta job\tthe disk is full\n"
    assert command("logs", 1, "--plan", work.folder).out == "a word\n"
    assert command("logs", 2, "--plan", work.folder).code == 2


def test_a_watch_ends_with_the_last_job(make: Make, command: Command) -> None:
    """`status --watch` looks again until nothing runs and nothing is left."""
    work = make(VIT).work
    _begin(work.files, 0, 1000.0, 1010.0)
    _begin(work.files, 1, 1010.0, 1012.0)
    told = command("status", work.folder, "--watch", "--every", 0.1)
    assert (told.code, "finished" in told.err) == (0, True)


def test_without_a_plan_there_is_no_status(tmp_path: Path) -> None:
    """Where no plan was made or named, that is said with the folder that was looked in."""
    with pytest.raises(UsageError, match="no plan is in"):
        job_status.find(None, tmp_path)
