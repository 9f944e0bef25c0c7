"""The executor `local`: processes of this machine, of which any may be lost."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssl_bench.errors import UsageError
from ssl_bench.executors import base, choose, get, local, names
from ssl_bench.executors.queues import Queue
from ssl_bench.results.store import Results
from tests.cli.conftest import Command
from tests.cli.test_run import TOP, start
from tests.executors.conftest import PIXELS, VIT, Make
from tests.executors.test_shards import said

WORDS = ("run", "-m", PIXELS, "-m", "majority", "-t", "digits", "-p", "knn", "-p", "knn,k=1")
HERE = ("--executor", "local", "--parallel", "2", "--executor-option", "threads=1")


@pytest.mark.slow
def test_two_processes_make_the_records_of_one(command: Command, tmp_path: Path) -> None:
    """What two processes measured is what this one measures, and the process that hands out the jobs imports no torch;
    the same command again finds the records and runs nothing."""
    words = [*WORDS, *HERE, "--shard-images", "900"]
    code = (
        f"import sys\nfrom ssl_bench import cli\nsys.argv = ['ssl-bench', *{words!r}]\n"
        "try:\n    cli.main()\nfinally:\n    print('LOADED', sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(TOP), "OMP_NUM_THREADS": "1"}
    first = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert first.returncode == 0, first.stderr
    table, loaded, _ = first.stdout.rpartition("LOADED []")
    assert loaded, first.stdout
    assert "4 run, 0 failed" in first.stderr
    assert "4 records present, 0 run" in command(*words).err
    status = command("status")
    assert (status.code, "finished" in status.err) == (0, True)
    alone = command(*WORDS, "--results", tmp_path / "alone", "--cache", tmp_path / "clean")
    assert alone.out == table
    ours, theirs = (Results(place).records() for place in (Path("results"), tmp_path / "alone"))
    assert [*map(said, ours)] == [*map(said, theirs)]


def _workers(folder: Path) -> list[str]:
    """Return the command lines of workers on plans in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace").replace("\0", " "))
    return [line for line in found if "executors.worker" in line and str(folder) in line]


SLOW_NET = "module:tests.executors.slow:network,size=8,channels=grey,mean=[0.0],std=[1.0]"
SLOW = ("run", "-m", SLOW_NET, "-m", PIXELS, "-t", "digits", "-p", "knn", *HERE)


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_time_and_nothing_else(command: Command, tmp_path: Path) -> None:
    """A process killed in the middle of a job is replaced and its job begun again: all records, none twice."""
    run = start(*SLOW)
    log = _await_batch(tmp_path)
    [victim] = [json.loads(log.with_name("0.started.json").read_text())["pid"]]
    os.kill(victim, signal.SIGKILL)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    assert "lost with its process; attempt 2" in errors
    assert len(Results(Path("results")).records()) == len(list(Path("results").glob("*/*/*.json"))) == 2


@pytest.mark.slow
def test_what_is_lost_every_time_is_given_up(command: Command, tmp_path: Path) -> None:
    """A job that ends its process each time fails after so many attempts, its followers do what it should have, and
    it is left as it is until it is asked for again."""
    deadly = SLOW_NET.replace(":network", ":deadly")
    words = ("run", "-m", deadly, "-m", PIXELS, "-t", "digits", "-p", "knn", *HERE, "--attempts", "2")
    told = command(*words)
    assert told.code == 3, told.err
    assert "ended without a word, 2 times" in told.err
    assert len(Results(Path("results")).records()) == 1
    assert "extract" in command("logs").out
    again = command(*words)
    assert again.code == 3
    assert "--retry-failed" in again.err
    assert "jobs on local" not in again.err
    assert "lost with its process" in command(*words, "--retry-failed").err


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_once_lets_the_job_end_and_twice_ends_it(command: Command, tmp_path: Path, times: int) -> None:
    """After one Ctrl-C the jobs at hand are done and no other is begun; after two they are not. Both print the command
    that goes on, which does the rest."""
    run = start(*SLOW)
    log = _await_batch(tmp_path)
    for _ in range(times):
        run.send_signal(signal.SIGINT)
        time.sleep(0.5)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 130, errors
    assert shlex.split(errors.splitlines()[-1]) == ["ssl-bench", *SLOW]
    assert log.with_name("0.done.json").exists() is (times == 1)
    assert not list(Path("results").glob("module*/*/*.json"))
    assert not _workers(tmp_path)
    told = command(*SLOW)
    assert (told.code, len(Results(Path("results")).records())) == (0, 2), told.err


def _await_batch(folder: Path) -> Path:
    """Return the log of the first job once its first batch has passed."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for log in folder.glob("**/plans/*/jobs/0.log"):
            if "a batch passes" in log.read_text():
                return log
        time.sleep(0.05)
    raise AssertionError("no batch ever passed")


# ------------------------------------------------------------------ without processes


def test_cores_and_gpus_are_divided(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every GPU has a process, the pool beside them as many; without GPUs the cores are divided among the pool."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(12)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    work = make(device="auto").work
    for gpus, parallel, slots, threads in (
        ("0+1", 0, ["0", "1", None, None], 3),
        ("0+1", 1, ["0"], 12),
        ("", 4, [None] * 4, 3),
        ("", 0, [None] * 3, 4),
    ):
        executor = local.Executor(work, parallel, {"gpus": gpus})
        assert (executor._slots, executor._threads) == (slots, threads)


def test_gpus_that_are_visible_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """GPUs are those that CUDA_VISIBLE_DEVICES names, and else those that nvidia-smi lists."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-5a")
    assert local.visible_gpus() == ["2", "GPU-5a"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert local.visible_gpus() == []
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert local.visible_gpus() == ["0", "1"]


def test_a_job_starts_when_those_before_it_have_ended(make: Make) -> None:
    """Probes are ready when all shards have ended, however they ended; what was not handed over is not waited for."""
    queue = Queue(make(VIT, PIXELS, shard_images=900).work.plan)
    queue.add(range(6))
    assert [queue.take(True), queue.take(False), queue.take(False)] == [None, 0, 1]
    queue.end(0)
    assert queue.take(True) is None
    queue.end(1)
    assert [queue.take(False, True), queue.take(True, False), queue.take(True)] == [3, 2, None]
    queue.stop()
    assert queue.states == {0: "ended", 1: "ended", 2: "running", 3: "running", 4: "ended", 5: "ended"}
    late = Queue(make(VIT, shard_images=900).work.plan)
    late.add([2])
    assert late.take(True) == 2


def test_a_process_keeps_to_the_model_that_it_holds(make: Make) -> None:
    """Of the jobs that are ready, those of the model that a process has loaded come first, then the plan's order."""
    queue = Queue(make(VIT, PIXELS, shard_images=900).work.plan)
    queue.add(range(6))
    taken = [queue.take(False, True, model=model) for model in ("", PIXELS, PIXELS, PIXELS, VIT)]
    assert taken == [0, 3, 4, 1, None]
    for index in taken[:4]:
        queue.end(index or 0)
    assert [queue.take(False, True, model=PIXELS), queue.take(False, True, model=PIXELS)] == [5, 2]


def test_the_folder_is_the_registry() -> None:
    """Every executor is found by its file's name, and an unknown one is answered with the nearest."""
    assert names() == ("local", "ray", "slurm")
    for name in names():
        assert issubclass(get(name), base.Executor)
    with pytest.raises(UsageError, match="Did you mean slurm"):
        get("slurn")


def test_settings_of_executors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table `executor` names the executor and its options; flags stand over it, and another executor's options
    are its own; what is unknown is refused."""
    monkeypatch.chdir(tmp_path)
    Path("ssl-bench.toml").write_text('[executor]\nname = "slurm"\nparallel = 8\npartition = "gpu"\nminutes = 30\n')
    chosen = choose({"name": None, "attempts": 5}, ["partition=cpu"])
    assert (chosen.name, chosen.parallel, chosen.attempts) == ("slurm", 8, 5)
    assert dict(chosen.options) == {"partition": "cpu", "minutes": 30}
    assert dict(choose({"name": "local"}, ["threads=2"]).options) == {"threads": "2"}
    with pytest.raises(UsageError, match="Did you mean partition"):
        base.checked(get("slurm"), {"partitoin": "gpu"})
    with pytest.raises(UsageError, match="is not key=value"):
        choose({}, ["partition"])
    Path("ssl-bench.toml").write_text('[executor]\nname = "slrm"\n')
    with pytest.raises(UsageError, match="no executor is called 'slrm'"):
        choose({}, [])
