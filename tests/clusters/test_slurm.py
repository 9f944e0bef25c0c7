"""Suites on a real Slurm, one node of which is killed in the middle."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench.results.store import Results
from tests.clusters import processes, slurm
from tests.clusters.conftest import (
    User,
    asked,
    begun,
    check_whole,
    everything,
    example,
    find_busy,
    finish,
    kill_busy,
    need,
    run_alone,
)
from tests.clusters.s3 import S3
from tests.clusters.slurm import Slurm


def test_any_engine_works_off_a_plan(short_path: Path, tmp_path: Path) -> None:
    """What `plan --out` writes is done by `sbatch --array` and `run-job` alone, also where a node is lost."""
    need(slurm.missing())
    user = User(tmp_path)
    run_alone(user, asked("array"))
    with Slurm(short_path / "slurm") as cluster:
        user.reaches(cluster)
        process = user.begin(example("array"))
        log = kill_busy(cluster, "node1", tmp_path)
        finish(process, cluster)
    assert begun(log) > 1
    check_whole(user, asked("array"))


def test_what_is_preempted_is_queued_again(short_path: Path, tmp_path: Path) -> None:
    """A task that Slurm warns of preemption or of its time limit is queued again and does its job then."""
    need(slurm.missing())
    user = User(tmp_path)
    with Slurm(short_path / "slurm", nodes=1) as cluster:
        user.reaches(cluster)
        options = "--executor-option cpus=1 --executor-option poll_seconds=1"
        process = user.begin(f"ssl-bench run -m digits_vit -s quick --executor slurm {options}")
        log = find_busy(cluster, "node0", tmp_path).with_name("0.log")
        cluster.ask("scancel", "--signal=USR2", cluster.ask("squeue", "-h", "-t", "RUNNING", "-o", "%A").strip())
        finish(process, cluster)
    assert begun(log) > 1
    assert len(everything(Results(tmp_path / "results"))) == 2


@pytest.mark.data
def test_a_suite_of_real_models_on_slurm(short_path: Path, tmp_path: Path, real_data: Path, s3: S3) -> None:
    """`run --executor slurm` loses no record to a killed node and doubles none, with features and records on S3."""
    need(slurm.missing() or processes.cannot_separate())
    user = User(tmp_path, real_data, results="s3://shared/results", shared_cache="s3://shared/cache")
    run_alone(user, asked("slurm"))
    with Slurm(short_path / "slurm", private=[tmp_path / "cache" / "features"]) as cluster:
        user.reaches(cluster)
        process = user.begin(example("slurm"))
        log = kill_busy(cluster, "node1", tmp_path)
        finish(process, cluster)
    assert begun(log) > 1
    check_whole(user, asked("slurm"))
    assert s3.names("cache/features/")
    assert not list((tmp_path / "cache" / "features").rglob("*.npy"))
