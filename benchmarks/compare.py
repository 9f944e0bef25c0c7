"""`ssl-bench compare` of two runs of 19 tasks, 10,000 samples each: wall and processor seconds, start-up included.

The records are a committed one with other tasks and predictions; of each task 2 % of the answers flip.

Run: python benchmarks/compare.py [--runs 5]
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import ssl_bench
from ssl_bench import metrics
from ssl_bench.predictions import Classes, Truth
from ssl_bench.results.record import Interval, MetricDefinition, MetricValue, Record
from ssl_bench.results.store import Results

TASKS, SAMPLES, CLASSES = 19, 10_000, 100
STORE = Path(__file__).parent.parent / "results"


def make_run(root: Path, seed: int) -> None:
    """Write 19 records and their predictions."""
    pattern = next(one for one in Results(STORE).records() if one.protocol.name == "knn")
    results = Results(root)
    for task in range(TASKS):
        draw = np.random.default_rng(task)
        targets = draw.integers(CLASSES, size=SAMPLES)
        pred = np.where(draw.random(SAMPLES) < 0.8, targets, draw.integers(CLASSES, size=SAMPLES))
        other = np.random.default_rng([seed, task])
        flips = other.random(SAMPLES) < (0.02 if seed else 0)
        pred = np.where(flips, other.integers(CLASSES, size=SAMPLES), pred)
        ranked = (pred[:, None] + np.arange(5)) % CLASSES
        said = Classes(ranked, draw.random(SAMPLES).astype(np.float32))
        truth = Truth({"test": targets}, CLASSES)
        table = said.table([f"task{task}/{i:06d}.png" for i in range(SAMPLES)], truth)
        results.put(record_of(pattern, f"task{task:02d}", said, truth, results.put_samples(table)))


def record_of(pattern: Record, task: str, said: Classes, truth: Truth, samples: object) -> Record:
    """Return the pattern with another task's numbers."""
    values, definitions = {}, {}
    for name in ("top1", "top5"):
        metric = metrics.get(name)
        value, n, bounds = metric.score(said, truth)
        assert bounds is not None
        values[name] = MetricValue(value, n, Interval(bounds[0], bounds[1], 0.95, bounds[2]))
        definitions[name] = MetricDefinition("fraction", True, 0.0, 1.0, metric.chance(CLASSES))
    block = dataclasses.replace(
        pattern.task,
        name=task,
        digest=f"{int(task[4:]):064x}",
        classes=CLASSES,
        samples={"train": 1, "test": SAMPLES},
        metric="top1",
        metrics=definitions,
    )
    return dataclasses.replace(pattern, task=block, metrics=values, samples=samples)  # type: ignore[arg-type]


def seconds(words: list[str], runs: int, folder: str) -> str:
    """Return the medians of a process's wall and processor time, after one that is not counted."""
    walls, works = [], []
    for _ in range(runs + 1):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(words, capture_output=True, cwd=folder, check=False)
        assert done.returncode in (0, 1), done.stderr.decode()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        walls.append(time.perf_counter() - start)
        works.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return f"{statistics.median(walls[1:]):6.2f} s wall {statistics.median(works[1:]):6.2f} s processor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        for seed, name in enumerate(("base", "cand")):
            make_run(Path(folder) / name, seed)
        compare = [sys.executable, "-m", "ssl_bench", "compare", "base", "cand"]
        reports = ["--md", "c.md", "--junit", "c.xml", "--html", "c.html"]
        print(f"{TASKS} tasks of {SAMPLES:,} samples on both sides, medians of {runs} runs")
        print(f"python -c pass               {seconds([sys.executable, '-c', 'pass'], runs, folder)}")
        print(f"ssl-bench compare            {seconds(compare, runs, folder)}")
        print(f"... --md --junit --html      {seconds([*compare, *reports], runs, folder)}")
        start = time.perf_counter()
        found = ssl_bench.compare(Path(folder) / "base", Path(folder) / "cand")
        print(f"ssl_bench.compare            {time.perf_counter() - start:6.2f} s wall: {found.verdict}")


if __name__ == "__main__":
    main()
