"""What the executor `slurm` asks of Slurm and makes of its answers; `tests/clusters` has the real one."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from ssl_bench.errors import MissingError, UsageError
from ssl_bench.executors import get, slurm
from ssl_bench.executors.slurm import Executor, Task, queued
from tests.executors.conftest import PIXELS, VIT, Make

pytest.importorskip("submitit")
SBATCH = """#!/bin/sh
n=$(ls {folder}/sent 2>/dev/null | wc -l)
mkdir -p {folder}/sent
for word; do last=$word; done
cp "$last" {folder}/sent/$((n + 100)).sh
echo "Submitted batch job $((n + 100))"
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose `sbatch` keeps what it is given, and whose `squeue` says what stands in the file `queue`."""
    tools = {
        "sbatch": SBATCH.format(folder=tmp_path),
        "srun": "#!/bin/sh\nexit 1\n",
        "squeue": f"#!/bin/sh\ncat {tmp_path}/queue\n",
        "scancel": f'#!/bin/sh\necho "$@" >> {tmp_path}/cancelled\n',
    }
    (tmp_path / "bin").mkdir()
    for name, text in tools.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def asked(text: str) -> dict[str, str]:
    """Return the options of a batch script."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", text, flags=re.MULTILINE))


def sent(cluster: Path) -> list[dict[str, str]]:
    return [asked(path.read_text()) for path in sorted((cluster / "sent").iterdir())]


def test_probes_wait_for_the_arrays_of_their_shards(make: Make, cluster: Path) -> None:
    """Extract jobs go in one array and probes in another that waits for it, on the partition for what needs no GPU."""
    work = make(VIT, PIXELS, shard_images=900).work
    options = {"partition": "gpu", "cpu_partition": "cpu", "gpus": "1", "cpus": "2", "minutes": "30", "account": "lab"}
    executor = Executor(work, 3, options | {"extra": "exclude=n1"})
    executor.submit(range(len(work.plan.jobs)))
    extract, probe = sent(cluster)
    assert (extract["array"], probe["array"]) == ("0-3%3", "0-1%2")
    assert (extract["partition"], extract["gpus-per-node"], extract["cpus-per-task"]) == ("gpu", "1", "2")
    assert (probe["partition"], "gpus-per-node" in probe, probe["dependency"]) == ("cpu", False, "afterany:100")
    assert (extract["time"], extract["account"], extract["exclude"]) == ("30", "lab", "n1")
    assert "dependency" not in extract


def test_what_slurm_no_longer_has_has_ended(make: Make, cluster: Path) -> None:
    """A job runs or waits as `squeue` says, and has ended once it is not there; while `squeue` does not answer, it
    stands as it stood."""
    work = make(VIT, shard_images=900).work
    executor = Executor(work, 0, {"poll_seconds": "0"})
    executor.submit([0, 1, 2])
    (cluster / "queue").write_text("100_0 RUNNING\n100_1 PENDING\n101 PENDING\n")
    assert executor.poll(0) == {0: "running", 1: "waiting", 2: "waiting"}
    (cluster / "queue").write_text("100_1 COMPLETING\n101 REQUEUED\n")
    assert executor.poll(0) == {0: "ended", 1: "running", 2: "waiting"}
    (cluster / "bin" / "squeue").write_text("#!/bin/sh\nexit 1\n")
    assert executor.poll(0) == {0: "ended", 1: "running", 2: "waiting"}
    executor.stop()
    executor.cancel()
    assert (cluster / "cancelled").read_text() == "--state=PENDING 100 101\n100 101\n"


def test_what_slurm_still_has_is_not_submitted_again(make: Make, cluster: Path) -> None:
    """The same command in another process takes over what is queued and submits the rest alone."""
    work = make(VIT, shard_images=900).work
    Executor(work, 0, {}).submit([0, 1, 2])
    (cluster / "queue").write_text("100_1 RUNNING\n101 PENDING\n")
    executor = Executor(work, 0, {"poll_seconds": "0"})
    executor.submit([0, 1, 2])
    assert len(sent(cluster)) == 3
    assert "array" not in sent(cluster)[2]
    (cluster / "queue").write_text("100_1 RUNNING\n101 PENDING\n102 RUNNING\n")
    assert executor.poll(0) == {0: "running", 1: "running", 2: "waiting"}
    executor.submit([0, 1])
    assert len(sent(cluster)) == 3


def test_no_array_is_larger_than_clusters_take(make: Make, cluster: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more jobs than an array has room for, tasks do several one after another."""
    monkeypatch.setattr(slurm, "ARRAY", 2)
    work = make(VIT, PIXELS, shard_images=900).work
    Executor(work, 0, {}).submit(range(6))
    assert [one["array"] for one in sent(cluster)[:1]] == ["0-1%2"]
    assert len(sent(cluster)) == 2
    Executor(work, 0, {"jobs_per_task": "1"}).submit(range(6))
    assert len(sent(cluster)) == 5


def test_a_task_that_starts_again_does_not_repeat_itself(make: Make, cluster: Path) -> None:
    """A task that was preempted does the jobs that it had not done, and says which of its jobs failed."""
    work = make(PIXELS, shard_images=900).work
    task = Task(work.folder, {})
    assert task([0, 1]) == []
    before = work.files.path(0, "log").read_text()
    assert task([0, 1, 2]) == []
    assert work.files.path(0, "log").read_text() == before
    assert work.files.states()[2].state == "done"
    assert task.checkpoint([0, 1]).function is task


def test_without_slurm_or_submitit_the_mend_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no squeue, or no submitit, an error says what to do."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingError, match="no squeue here"):
        queued("somebody")
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(MissingError, match=r"ssl-bench\[slurm\]"):
        Executor(make().work, 0, {})


def test_without_ray_the_mend_is_said(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no ray, an error says what to install; an option that is no number is named."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError, match=r"ssl-bench\[ray\]"):
        get("ray")(make().work, 0, {})
    with pytest.raises(UsageError, match="threads=many is no whole number"):
        get("local")(make().work, 1, {"threads": "many"})
