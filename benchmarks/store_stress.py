"""Many writers of one root, killed at random: is anything lost, corrupt or doubled?

64 processes write 200 records each, of which 20 are jobs that all of them have; 100 times, a random one is killed with
SIGKILL at a random moment and, as a rule, started again. Every writer notes a record once the store has taken it: none
of those may be lost. Then one more run over all jobs must write exactly what is missing. The records vary a committed
one, as store_records.py says; the root is a folder, or, with --s3, a bucket of a local server.

Run: python benchmarks/store_stress.py [--writers 64] [--records 200] [--kills 100] [--s3]
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store_records import real_record, vary

from ssl_bench.results.reading import try_entry
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results

SHARED = 20
"""Jobs that every writer has."""


def jobs(writer: int, count: int) -> list[tuple[str, int]]:
    """Return (model, seed) of a writer's jobs."""
    own = [(f"writer{writer:02d}", seed) for seed in range(count - SHARED)]
    shared = [("shared", seed) for seed in range(SHARED)]
    mixed = own + shared
    random.Random(writer).shuffle(mixed)
    return mixed


def write(root: str, writer: int, count: int, notes: str) -> Counter[str]:
    """Put the records of a writer's jobs that are not there yet, as a run does, and note each that the store took."""
    results, record, outcomes = Results(root), real_record(), Counter[str]()
    with Path(notes, str(writer)).open("ab", buffering=0) as file:
        for model, seed in jobs(writer, count):
            made = vary(record, model, "task", seed)
            outcomes["present" if results.has(made.record_id) else results.put(made).outcome] += 1
            file.write(f"{made.record_id}\n".encode())
    return outcomes


def kill_and_restart(root: str, writers: int, count: int, kills: int, notes: str) -> tuple[int, float]:
    """Let all writers write at once, killing some; return how many were killed while they wrote, and the seconds."""
    context, draw, killed, start = multiprocessing.get_context("fork"), random.Random(0), 0, time.perf_counter()

    def begin(writer: int) -> multiprocessing.process.BaseProcess:
        process = context.Process(target=write, args=(root, writer, count, notes))
        process.start()
        return process

    running = {writer: begin(writer) for writer in range(writers)}
    while killed < kills:
        time.sleep(draw.uniform(0, 0.1))
        alive = [writer for writer, process in running.items() if process.is_alive()]
        if not alive:
            break
        writer = draw.choice(alive)
        os.kill(running[writer].pid or 0, signal.SIGKILL)
        running[writer].join()
        killed += running[writer].exitcode == -signal.SIGKILL
        if killed < kills or draw.random() < 0.5:  # some stay dead, so that the next run has work
            running[writer] = begin(writer)
    for writer in draw.sample(sorted(running), writers // 8):
        running[writer].kill()
    for process in running.values():
        process.join()
    return killed, time.perf_counter() - start


def found(root: str) -> tuple[Counter[str], int]:
    """Return how often each record id lies under the root, and how many files hold no record."""
    results = Results(root)
    entries = [try_entry(content, name) for name, content in results.files.read_all(results.files.record_files())]
    held = [entry for entry in entries if isinstance(entry, Record)]
    return Counter(record.record_id for record in held), len(entries) - len(held)


def stress(root: str, writers: int, count: int, kills: int) -> dict[str, float]:
    """Return the numbers of one trial."""
    with tempfile.TemporaryDirectory() as notes:
        return _stress(root, writers, count, kills, notes)


def _stress(root: str, writers: int, count: int, kills: int, notes: str) -> dict[str, float]:
    record = real_record()
    every = {vary(record, *job[:1], "task", job[1]).record_id for w in range(writers) for job in jobs(w, count)}
    killed, seconds = kill_and_restart(root, writers, count, kills, notes)
    taken = {line for path in Path(notes).iterdir() for line in path.read_text().splitlines() if len(line) == 64}
    before, corrupt = found(root)
    strange = len(before.keys() - every)
    doubled = sum(times > 1 for times in before.values())
    said = sum((write(root, writer, count, notes) for writer in range(writers)), Counter[str]())
    after, still_corrupt = found(root)
    return {
        "jobs": len(every),
        "killed": killed,
        "seconds": seconds,
        "there before the last run": len(before),
        "missing before the last run": len(every - before.keys()),
        "written by the last run": said["stored"],
        "drift in the last run": said["drift"],
        "taken before the last run": len(taken),
        "lost": len(taken - before.keys()) + len(every - after.keys()),
        "corrupt": corrupt + still_corrupt,
        "doubled": doubled + sum(times > 1 for times in after.values()),
        "strange": strange,
    }


@contextmanager
def place(s3: bool) -> Iterator[str]:
    """Give an empty root."""
    with tempfile.TemporaryDirectory() as folder:
        if not s3:
            yield str(Path(folder) / "results")
            return
        server = multiprocessing.get_context("spawn").Process(target=serve, args=(5999,), daemon=True)
        server.start()
        os.environ |= {"AWS_ENDPOINT_URL": "http://127.0.0.1:5999", "AWS_DEFAULT_REGION": "us-east-1"}
        os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        make_bucket()
        yield "s3://records/results"
        server.kill()


def serve(port: int) -> None:
    """Run the S3 server in this process."""
    import logging

    from moto.server import main

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    main(["-H", "127.0.0.1", "-p", str(port)])


def make_bucket() -> None:
    """Wait for the server and make the bucket, in a process of its own: writers are forked from one without threads."""
    code = "import s3fs; s3fs.S3FileSystem().mkdir('records')"
    for _ in range(50):
        if subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.2)
    raise SystemExit("the local S3 server does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("writers", 64), ("records", 200), ("kills", 100)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--s3", action="store_true")
    given = parser.parse_args()
    with place(given.s3) as root:
        numbers = stress(root, given.writers, given.records, given.kills)
    print(f"{given.writers} writers x {given.records} records, {'S3 server' if given.s3 else 'folder'}")
    for name, value in numbers.items():
        print(f"{name:<28} {value:.0f}")
    wrong = {name for name in ("lost", "corrupt", "doubled", "strange", "drift in the last run") if numbers[name]}
    if wrong or numbers["missing before the last run"] != numbers["written by the last run"]:
        raise SystemExit(f"wrong: {', '.join(sorted(wrong)) or 'the last run did not write exactly what was missing'}")


if __name__ == "__main__":
    main()
