"""A real Ray cluster of several nodes on loopback, the first of which is its head, all under one folder.

Run: python -m tests.clusters.ray [--nodes 3] COMMAND …

The command finds the cluster by the environment variable RAY_ADDRESS, as every driver of Ray does.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.clusters import processes

FEW_BYTES = 80_000_000
"""Of each node's object store; no image and no feature passes through it."""


def missing() -> str:
    """Return why no Ray can be started here, or ""."""
    return "" if importlib.util.find_spec("ray") else "ray is not installed (pip install ray)"


class Ray:
    """A cluster that runs while the `with` block does; every node has `cpus` processors to give.

    Nodes are started in an `environment` over this process's, and see folders of their own in `private` places. The
    attribute `environment` is what drivers need beside their own to find them. The folder's path must be short: Ray
    puts sockets into it.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 3,
        cpus: int = 1,
        environment: Mapping[str, str] | None = None,
        private: Sequence[Path] = (),
    ) -> None:
        self.folder, self.cpus, self.private, self._own = folder, cpus, private, dict(environment or {})
        self.head, *self.others = self.names = [f"node{number}" for number in range(nodes)]
        self.address = f"127.0.0.1:{processes.free_ports(1)[0]}"
        self.environment = {"RAY_ADDRESS": self.address}
        self._mark = f"SSL_BENCH_TEST_RAY={folder}"

    def __enter__(self) -> Ray:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        processes.kill_marked(self._mark)

    def _start(self) -> None:
        port = self.address.rpartition(":")[2]
        single = ["--include-dashboard=false"]
        if importlib.util.find_spec(
            "grpc"
        ):  # else there is no client server, whose usual port is the machine's only one
            single.append(f"--ray-client-server-port={processes.free_ports(1)[0]}")
        self._start_one(self.head, "--head", f"--port={port}", f"--temp-dir={self.folder}", *single)
        self._wait(self.head)
        for name in self.others:
            before = self._sockets()
            self._start_one(name, f"--address={self.address}")
            # Nodes that start at once would choose the same names for their sockets.
            processes.wait_for(lambda before=before: self._sockets() > before + 1, f"the sockets of {name}")
        for name in self.others:
            self._wait(name)

    def _sockets(self) -> int:
        return len(list(self.folder.glob("session_latest/sockets/*")))

    def _start_one(self, name: str, *options: str) -> None:
        mark, _, value = self._mark.partition("=")
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        command += ["--node-ip-address=127.0.0.1", f"--object-store-memory={FEW_BYTES}", f"--node-name={name}"]
        command += [f"--num-cpus={self.cpus}"]
        marks = {mark: value, "SSL_BENCH_TEST_NODE": name}
        own = processes.own_folders(self.folder / f"{name}.own", self.private)
        processes.start(processes.with_own(own, [*command, *options]), self._log(name), os.environ | self._own | marks)

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.out"

    def _wait(self, name: str) -> None:
        log = self._log(name)
        processes.wait_for(lambda: b"runtime started" in log.read_bytes(), f"Ray's {name}", log)

    def processes(self, name: str) -> set[int]:
        """Return what runs on a node."""
        return processes.marked(self._mark, f"SSL_BENCH_TEST_NODE={name}")

    def hurry(self) -> None:
        """Ray holds nothing back."""

    def kill_node(self, name: str) -> int:
        """Kill a node and all that runs there at once, as a power cut does; without its head no cluster is left."""
        return processes.kill_marked(self._mark, f"SSL_BENCH_TEST_NODE={name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"no Ray can be started: {reason}")
    with tempfile.TemporaryDirectory(prefix="ray") as folder, Ray(Path(folder), given.nodes, given.cpus) as cluster:
        done = subprocess.run(given.command or ["ray", "status"], env=os.environ | cluster.environment, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
