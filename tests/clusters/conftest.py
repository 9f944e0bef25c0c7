"""Clusters for tests, and what every suite that ran on one must have left."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import s3fs

import ssl_bench
from ssl_bench.results.reading import try_entry
from ssl_bench.results.record import Record
from ssl_bench.results.store import Results
from tests.clusters import processes
from tests.clusters.ray import Ray
from tests.clusters.s3 import S3
from tests.clusters.slurm import Slurm

TOP = Path(ssl_bench.__file__).parent.parent
REQUIRED = os.environ.get("SSL_BENCH_CLUSTERS") == "required"
Cluster = Slurm | Ray


def need(reason: str) -> None:
    """Skip a test for a reason, or fail it where clusters are said to be there."""
    if reason and REQUIRED:
        pytest.fail(f"{reason}; SSL_BENCH_CLUSTERS=required (`.ci/run` shows how to install it)")
    if reason:
        pytest.skip(reason)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short: clusters put sockets there, whose paths may have 107 characters."""
    with tempfile.TemporaryDirectory(prefix="c", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def s3(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """An S3 server, which what is started from here finds by the environment."""
    with S3(short_path / "s3") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield server


def example(name: str) -> str:
    """Return the shell commands that the docs show under a name."""
    (block,) = re.findall(rf"```sh {name}\n(.*?)```", (TOP / "docs" / "running_on_clusters.md").read_text(), re.DOTALL)
    return str(block)


def asked(name: str) -> list[str]:
    """Return the words of an example that say what is asked: models, tasks and suites."""
    words = shlex.split(example(name))
    places = [place for place, word in enumerate(words) if word in ("-m", "-t", "-s")]
    return [word for place in places for word in words[place : place + 2]]


class User:
    """Someone at a terminal that can reach a cluster; their folders lie where every node sees them."""

    def __init__(self, home: Path, data: Path | None = None, **settings: str) -> None:
        self.home = home
        own = {
            "HOME": str(home),
            "PYTHONPATH": str(TOP),
            "OMP_NUM_THREADS": "1",
            "SSL_BENCH_DEVICE": "cpu",
            "SSL_BENCH_CACHE": str(home / "cache"),
            "SSL_BENCH_RESULTS": str(home / "results"),
        }
        own |= {f"SSL_BENCH_{name.upper()}": value for name, value in settings.items()}
        (home / "bin").mkdir()
        (home / "bin" / "ssl-bench").write_text(f'#!/bin/sh\nexec {sys.executable} -m ssl_bench "$@"\n')
        (home / "bin" / "ssl-bench").chmod(0o755)
        own["PATH"] = f"{home / 'bin'}:{os.environ['PATH']}"
        self.environment = dict(os.environ) | own | ({"SSL_BENCH_DATA": str(data)} if data else {})

    def reaches(self, cluster: Cluster) -> None:
        """Let commands that are started from now on find a cluster."""
        self.environment |= cluster.environment

    def begin(self, commands: str) -> subprocess.Popen[str]:
        """Start commands of a shell, of which each must go well for the next."""
        return subprocess.Popen(
            ["bash", "-ec", commands],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def does(self, *words: str) -> str:
        """Run a command to its end, and return what it printed."""
        process = self.begin(shlex.join(words))
        out, err = process.communicate(timeout=600)
        assert process.returncode == 0, f"{' '.join(words)}: {process.returncode}\n{out}\n{err}"
        return out


def find_busy(cluster: Cluster, node: str, folder: Path) -> Path:
    """Wait until a node does a job whose files lie somewhere in a folder; return the file that says it began."""
    found: list[Path] = []

    def look() -> bool:
        here = cluster.processes(node)
        started = [path for path in folder.rglob("jobs/*.started.json") if not has_ended(path)]
        found.extend(path for path in started if json.loads(path.read_text())["pid"] in here)
        return bool(found)

    processes.wait_for(look, f"a job on {node}")
    return found[0]


def kill_busy(cluster: Cluster, node: str, folder: Path) -> Path:
    """Kill a node while it does a job whose files lie somewhere in a folder; return the log of the job."""
    started = find_busy(cluster, node, folder)
    assert cluster.kill_node(node)
    assert not has_ended(started), "the job came to its end before the node could be killed"
    return started.with_name(started.name.replace("started.json", "log"))


def has_ended(started: Path) -> bool:
    return any(started.with_name(started.name.replace("started", end)).exists() for end in ("done", "error"))


def begun(log: Path) -> int:
    """Return how often a job was begun, by its log."""
    index = log.name.partition(".")[0]
    return log.read_text().count(f": job {index} of ")


def finish(process: subprocess.Popen[str], cluster: Cluster, seconds: float = 500) -> tuple[str, str]:
    """Wait for a command that rests on a cluster; return what it printed. Jobs of a lost node are not held back."""
    end = time.monotonic() + seconds
    while process.poll() is None:
        cluster.hurry()
        assert time.monotonic() < end, f"still not done after {seconds:.0f} s"
        time.sleep(0.5)
    out, err = process.communicate()
    assert process.returncode == 0, f"{process.returncode}\n{out}\n{err}"
    return out, err


def run_alone(user: User, request: Sequence[str]) -> None:
    """Run a request in one process, with folders of its own, for `check_whole`."""
    user.does("ssl-bench", "run", *request, "--results", "alone", "--cache", "alone-cache", "--shared-cache", "")


def check_whole(user: User, request: Sequence[str]) -> None:
    """Check that every record of a request is there, once, and says what one process of one machine says."""
    expected = {record.record_id: record for record in Results(user.home / "alone").records()}
    found = everything(Results(user.environment["SSL_BENCH_RESULTS"]))
    assert Counter(record.record_id for record in found) == Counter(expected.keys())
    for record in found:
        same = expected[record.record_id]
        assert record.metrics == same.metrics, record.record_id
        assert record.samples == same.samples, record.record_id
    planned = json.loads(user.does("ssl-bench", "plan", *request, "--json", "--cache", "alone-cache"))
    assert {row["state"] for row in planned} == {"done"}


def everything(results: Results) -> list[Record]:
    """Return every record that lies in a store, of one job as many as there are; raise where a file is none."""
    files = results.files.read_all(results.files.record_files())
    entries = [try_entry(content, name) for name, content in files]
    assert all(isinstance(entry, Record) for entry in entries), entries
    return [entry for entry in entries if isinstance(entry, Record)]
