"""`plan --out` and `run-job`: what any engine can call, in any order and more than once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ssl_bench.results.store import Results
from tests.cli.conftest import Command, lines
from tests.executors.conftest import PIXELS
from tests.executors.test_shards import said

WORDS = ("-m", PIXELS, "-t", "digits", "-p", "knn", "-p", "knn,k=1")


def test_jobs_of_a_plan_make_the_records_of_a_run(command: Command, tmp_path: Path) -> None:
    """A plan worked off with `run-job` alone gives what `run` gives; a job that is done again writes nothing."""
    assert command("plan", *WORDS, "--out", "p/plan.json", "--shard-images", 1000).code == 0
    for index in (2, 1, 0, 2):
        told = command("run-job", "p/plan.json", "--index", index)
        assert told.code == 0, told.err
        assert "job" in told.out + told.err
    report = json.loads(Path("p/jobs/2.done.json").read_text())
    assert (report["written"], len(report["present"])) == ([], 2)
    ours = Results(Path("results")).records()
    assert "2 records present" in command("run", *WORDS).err
    other = command("run", *WORDS, "--results", tmp_path / "other", "--cache", tmp_path / "clean")
    assert other.code == 0
    assert [*map(said, ours)] == [*map(said, Results(tmp_path / "other").records())]


def test_a_plan_is_made_of_what_can_be_done(command: Command) -> None:
    """Where weights are missing no plan is written, and the exit code is 6."""
    told = command("plan", "-m", "dinov2_vitb14", "-t", "digits", "--out", "plan.json")
    assert (told.code, Path("plan.json").exists()) == (6, False)


def test_a_job_that_fails_keeps_its_error(command: Command) -> None:
    """A job that cannot be done exits as its error does and keeps it in error.json; done again well, it has none."""
    assert command("plan", *WORDS, "--out", "plan.json").code == 0
    Path("blocked").write_text("")
    told = command("run-job", "plan.json", "-i", 1, "--results", "blocked/results")
    assert told.code == 6
    [error] = json.loads(Path("jobs/1.error.json").read_text())["errors"]
    assert "blocked" in error["error"]
    assert error["kind"] == "MissingError"
    assert not Path("jobs/1.done.json").exists()
    told = command("logs", "--plan", ".")
    assert (lines(f"\n{told.out}")[0][0], "blocked" in told.out) == ("1", True)
    assert command("status", ".").code == 3
    assert command("run-job", "plan.json", "-i", 1).code == 0
    assert not Path("jobs/1.error.json").exists()
    log = command("logs", 1, "--plan", "plan.json").out
    assert "failed: " in log
    assert log.count("job 1 of") == 2


def test_what_a_task_is_too_small_for_is_skipped(command: Command) -> None:
    """Of several records that a job makes, one that the task is too small for is skipped with the reason."""
    assert command("plan", *WORDS, "--out", "plan.json").code == 0
    plan = json.loads(Path("plan.json").read_text())
    plan["recipes"][1][1]["k"] = 5000
    Path("plan.json").write_text(json.dumps(plan))
    assert command("run-job", "plan.json", "-i", 1).code == 0
    report = json.loads(Path("jobs/1.done.json").read_text())
    assert (len(report["written"]), len(report["skipped"])) == (1, 1)
    assert "5000" in report["skipped"][0]["error"]


def test_our_own_mistakes_are_kept_too(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw is in error.json by its name, and the way to it in the log."""
    from ssl_bench.backbones.pixels import PixelsBackbone

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of our own")

    assert command("plan", *WORDS, "--out", "plan.json").code == 0
    monkeypatch.setattr(PixelsBackbone, "forward", broken)
    with pytest.raises(AssertionError, match="Traceback"):  # which `command` looks for: here it is wanted
        command("run-job", "plan.json", "-i", 0)
    [error] = json.loads(Path("jobs/0.error.json").read_text())["errors"]
    assert (error["error"], error["exit_code"]) == ("ZeroDivisionError: of our own", 3)
    assert "Traceback" in Path("jobs/0.log").read_text()
