"""Throughput of W workers of one core each over W times that of one, extracting real images, and what a job costs more.

Run: python benchmarks/cluster_efficiency.py DATA [--executor local] [--workers 4] [--images 8000]
     python -m tests.clusters.slurm --nodes 4 python benchmarks/cluster_efficiency.py DATA --executor slurm
     python -m tests.clusters.ray --nodes 4 python benchmarks/cluster_efficiency.py DATA --executor ray
(on a machine that does nothing else)

DATA holds CIFAR-10 as JPEG files, from which train and test give that many images each, or all; ShuffleNetV2 sees them
at its own size. All workers, then one, then all again, each with an empty cache; the ratio is of the mean of the two.
What a job costs more than its work is the workers' time between first start and last end that no job accounts for.
Beside it stands what the machine gives at best: 4,000 of the images through the same network in bare processes, which
are begun at once when all have loaded everything, and share nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MODEL, TASK = "shufflenetv2_05", "cifar10_jpeg"
OPTIONS = {
    "local": ("threads=1", "gpus="),
    "slurm": ("cpus=1", "poll_seconds=1", "jobs_per_task=8"),
    "ray": ("cpus=1",),
}

BARE = """
import sys, time
import numpy as np
from ssl_bench import extraction, loading
from ssl_bench.jobs import Request, expand
from ssl_bench.progress import Progress
from ssl_bench.runner import Runner
from ssl_bench.settings import resolve
images = int(sys.argv[1])
settings = resolve({"device": "cpu", "progress": "none", "cache": sys.argv[2]}).settings
(job,) = expand(Request(models=("MODEL",), tasks=("TASK",), protocols=("knn",), limit=images), settings)
runner = Runner(settings, Progress())
loaded, data = runner.loaded(job.model), runner.data(job)
spec, split = loaded.facts.spec(job.pooled, job.precision), data.splits["train"]
def once(positions):
    for _ in extraction.forward(loaded.backbone, spec, split, positions, loading.Work("cpu", workers=0)):
        pass
once(np.arange(64))
print("ready", flush=True)
sys.stdin.readline()
start = time.perf_counter()
once(np.arange(images))
print(time.perf_counter() - start, flush=True)
"""
"""One of several bare processes."""
BARE_IMAGES = 4000


def bare(processes: int, images: int) -> float:
    """Return the images per second of this many processes at once."""
    with tempfile.TemporaryDirectory() as folder:
        code = BARE.replace("MODEL", MODEL).replace("TASK", TASK)
        line = [sys.executable, "-c", code, str(images), folder]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        children = [subprocess.Popen(line, **pipes, env=os.environ) for _ in range(processes)]
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("\n")
            child.stdin.flush()
        seconds = [float(child.stdout.readline()) for child in children]
        for child in children:
            child.communicate()
    return sum(images / one for one in seconds)


@dataclasses.dataclass(frozen=True)
class Turn:
    """One run of all jobs."""

    workers: int
    jobs: int
    images: int
    seconds: float
    """From the first start of a job to the last end."""
    whole: float
    """Of the command, with planning and starting."""
    worked: float
    """Of all jobs together, as each accounts for."""

    @property
    def rate(self) -> float:
        return self.images / self.seconds

    @property
    def between(self) -> float:
        """Seconds of a worker per job that no job accounts for."""
        return (self.workers * self.seconds - self.worked) / self.jobs


def run(executor: str, workers: int, images: int, shard: int) -> Turn:
    """Extract everything once."""
    with tempfile.TemporaryDirectory() as folder:
        request = ["-m", MODEL, "-t", TASK, "-p", "knn", "--limit", str(images), "--device", "cpu"]
        places = ["--cache", f"{folder}/cache", "--results", f"{folder}/results"]
        engine = ["--executor", executor, "--parallel", str(workers), "--shard-images", str(shard)]
        engine += [word for option in OPTIONS[executor] for word in ("--executor-option", option)]
        start = time.perf_counter()
        line = [sys.executable, "-m", "ssl_bench", "run", *request, *places, *engine, "--progress", "none"]
        done = subprocess.run(line, capture_output=True, text=True, check=False, env=os.environ)
        whole = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(done.stderr)
        (plan,) = Path(folder).glob("cache/plans/*/plan.json")
        return read(plan, workers, whole)


def read(plan: Path, workers: int, whole: float) -> Turn:
    """Return what the extract jobs of a plan left."""
    jobs = json.loads(plan.read_text())["jobs"]
    indices = [index for index, job in enumerate(jobs) if job["kind"] == "extract"]
    began = [json.loads((plan.parent / "jobs" / f"{i}.started.json").read_text())["time"] for i in indices]
    reports = [plan.parent / "jobs" / f"{i}.done.json" for i in indices]
    said = [json.loads(report.read_text()) for report in reports]
    return Turn(
        workers=workers,
        jobs=len(indices),
        images=sum(report["images"] for report in said),
        seconds=max(report.stat().st_mtime for report in reports) - min(began),
        whole=whole,
        worked=sum(report["seconds"] for report in said),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--executor", choices=OPTIONS, default="local")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--images", type=int, default=8000)
    given = parser.parse_args()
    os.environ |= {"SSL_BENCH_DATA": str(Path(given.data).resolve()), "OMP_NUM_THREADS": "1"}
    total = sum(min(given.images, size) for size in (50_000, 10_000))
    shard = -(-total // (8 * given.workers))  # eight for each worker, so that all end at about the same time
    load = os.getloadavg()[0]
    turns = [run(given.executor, workers, given.images, shard) for workers in (given.workers, 1, given.workers)]
    print(
        f"# {given.executor}, {MODEL} on {TASK}; {os.cpu_count()} cores, load {load:.1f} before; each worker one core"
    )
    for turn in turns:
        print(
            f"{turn.workers} workers  {turn.jobs} jobs  {turn.images} images  {turn.seconds:7.1f} s  "
            f"{turn.rate:7.1f}/s  {turn.between:5.2f} s a job between jobs  command {turn.whole:.1f} s"
        )
    ratio = (turns[0].rate + turns[2].rate) / 2 / turns[1].rate
    print(f"throughput {ratio:.2f} times that of one worker, {ratio / given.workers:.2f} of {given.workers}")
    alone, together = bare(1, BARE_IMAGES), bare(given.workers, BARE_IMAGES)
    limit = together / alone
    print(
        f"bare processes: {alone:.1f}/s of one, {together:.1f}/s of {given.workers}: the machine gives {limit:.2f} "
        f"times one, of which the workers reach {ratio / limit:.2f}"
    )


if __name__ == "__main__":
    main()
