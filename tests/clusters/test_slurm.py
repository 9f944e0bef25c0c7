"""A suite on a real Slurm, one node of which is killed in the middle."""

from __future__ import annotations

from pathlib import Path

from ssl_bench.results.store import Results
from tests.clusters.conftest import User, check_whole, finish, wait_until_busy
from tests.clusters.slurm import Slurm

REQUEST = ["-m", "digits_vit", "-m", "random:digits_vit", "-m", "pixels", "-s", "quick"]


def test_a_plan_is_worked_off_by_an_array_of_plain_jobs(slurm_cluster: Slurm, tmp_path: Path) -> None:
    """What `plan --out` writes is done by `sbatch --array` and `run-job` alone, also where a node is lost."""
    user = User(tmp_path, None, slurm_cluster)
    user.does("ssl-bench", "run", *REQUEST, "--results", "alone", "--cache", "alone-cache")
    user.does("ssl-bench", "plan", *REQUEST, "--out", "plan.json", "--shard-images", "700")
    process = user.begin(
        "bash",
        "-c",
        """
        sbatch --wait --array=0-11 --requeue --output=%a.txt \
            --wrap "python -m ssl_bench run-job plan.json --index \\$SLURM_ARRAY_TASK_ID"
    """,
    )
    wait_until_busy(slurm_cluster, "node1", tmp_path)
    assert slurm_cluster.kill_node("node1")
    finish(process, slurm_cluster)
    check_whole(user, REQUEST, Results(tmp_path / "alone"))
