"""60,000 records (500 models x 40 tasks x 3 seeds): building the index, asking of it, listing, and the board.

Each command is timed as its process, from start to end; the pivot's own time stands beside it. The records are made
once, packed as they are published; --loose unpacks them into one file each first, as they lie while they are measured.

Run: python benchmarks/store_scale.py [--models 500] [--tasks 40] [--seeds 3] [--loose]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from store_records import grid

from ssl_bench.results import query
from ssl_bench.results.store import Results

PIVOT = "SELECT model, task, avg(value) FROM records WHERE status = 'standing' GROUP BY model, task"
WIDE = "SELECT model, {} FROM records WHERE status = 'standing' GROUP BY model ORDER BY 2 DESC"


def write_models(words: tuple[Path, range, int, int]) -> int:
    """Write the packed files of some models; return how many records they hold."""
    root, models, tasks, seeds = words
    count = 0
    for name, records in grid(models, tasks, seeds):
        records.sort(key=lambda record: (record.task.name, record.protocol.name, record.seed, record.record_id))
        (root / f"{name}.jsonl").write_text("".join(f"{record.to_text()}\n" for record in records))
        count += len(records)
    return count


def make(root: Path, models: int, tasks: int, seeds: int) -> int:
    """Write all records, several models at once."""
    root.mkdir()
    portions = [range(start, min(start + 10, models)) for start in range(0, models, 10)]
    with multiprocessing.Pool() as pool:
        return sum(pool.imap_unordered(write_models, [(root, portion, tasks, seeds) for portion in portions]))


def timed(*words: str, runs: int = 3) -> tuple[float, subprocess.CompletedProcess[bytes]]:
    """Return the shortest wall time of a command over some runs, and what it said last."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
        times.append(time.perf_counter() - start)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
    return min(times), done


def loaded(*words: str) -> list[str]:
    """Return which heavy libraries a command imports."""
    heavy = ("torch", "pandas", "pyarrow", "scipy", "sklearn")
    code = (
        f"import sys\nsys.argv = ['ssl-bench', *{list(words)!r}]\nfrom ssl_bench import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        f"import json; print(json.dumps(sorted(set({heavy!r}) & set(sys.modules))), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    found: list[str] = json.loads(done.stderr.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("models", 500), ("tasks", 40), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--loose", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder) / "results", Path(folder) / "cache"
        count = make(root, given.models, given.tasks, given.seeds)
        size = sum(path.stat().st_size for path in root.iterdir()) / 1e6
        print(f"{count} records, {size:.0f} MB packed; {os.cpu_count()} cores")
        if given.loose:
            start = time.perf_counter()
            Results(root).unpack()
            print(f"unpacked into one file each, each synced        {time.perf_counter() - start:7.2f} s")
        report(root, cache, given.tasks)


def report(root: Path, cache: Path, tasks: int) -> None:
    """Print what everything takes."""
    results = Results(root, cache)
    start, before = time.perf_counter(), os.times()
    results.index.refresh()
    after = os.times()
    seconds = sum(after[:4]) - sum(before[:4])
    print(f"index built, every record checked               {time.perf_counter() - start:7.2f} s")
    print(f"of processors' time, all processes              {seconds:7.2f} s; load {os.getloadavg()[0]:.0f}")
    assert results.index.path
    print(f"index on the disk                               {results.index.path.stat().st_size / 1e6:7.0f} MB")
    columns = ", ".join(f"avg(value) FILTER (WHERE task = 'task{task:02d}')" for task in range(tasks))
    for name, sql in (("model, task: mean over seeds", PIVOT), (f"model x {tasks} columns", WIDE.format(columns))):
        start = time.perf_counter()
        query.ask(results.index, sql)
        print(f"pivot in an open index, {name:<24}{time.perf_counter() - start:7.2f} s")
    places = ("--results", str(root), "--cache", str(cache))
    bench = ("-m", "ssl_bench")
    rows = [
        ("ssl-bench results query, the first pivot", (*bench, "results", "query", PIVOT, *places)),
        ("ssl-bench results ls 'model00*'", (*bench, "results", "ls", "model00*", *places)),
        ("ssl-bench results ls, all", (*bench, "results", "ls", *places)),
        ("ssl-bench results show", (*bench, "results", "show", results.index.standing()[0].record_id, *places)),
        ("ssl-bench results export csv", (*bench, "results", "export", "csv", *places)),
        ("ssl-bench board --markdown", (*bench, "board", "--markdown", str(cache / "b.md"), *places)),
        ("ssl-bench board --html", (*bench, "board", "--html", str(cache / "b.html"), *places)),
        ("python -c pass", ("-c", "pass")),
    ]
    for name, words in rows:
        print(f"{name:<48}{timed(*words)[0]:7.2f} s")
    print(f"the page                                        {(cache / 'b.html').stat().st_size / 1e6:7.1f} MB")
    print(f"heavy libraries loaded by `results ls`: {loaded('results', 'ls', *places) or 'none'}")


if __name__ == "__main__":
    main()
