"""A real Slurm on loopback: munge, a controller and several nodes of this machine, all under one folder.

Run: python -m tests.clusters.slurm [--nodes 3] COMMAND …    (as root, with Debian's slurm-wlm and munge installed)

The command finds the cluster by the environment variable SLURM_CONF, as sbatch, squeue and submitit do. Nothing of a
Slurm that the machine may already have is read or written.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.clusters import processes

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONFIGURATION = """\
ClusterName=ssl-bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n.spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=1,sched_interval=1,sched_min_interval=100000,bf_interval=1
SlurmdParameters=config_overrides
SlurmdTimeout={timeout}
MessageTimeout={timeout}
KillWait=5
MinJobAge=300
JobRequeue=1
ReturnToService=2
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""No cgroups, no accounting database: what a test machine has. A node is DOWN when it was silent for SlurmdTimeout."""


def missing() -> str:
    """Return why no Slurm can be started here, or ""."""
    absent = [name for name in PROGRAMS if not _program(name)]
    if absent:
        return f"no {', '.join(absent)} (Debian: apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "slurmd is started as root only"


def _program(name: str) -> str:
    """Return where a program lies; system programs need not be on a user's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or ""


class Slurm:
    """A cluster that runs while the `with` block does.

    `environment` is what its clients need beside their own; every node has `cpus` processors to give, however many the
    machine has, and sees folders of its own in `private` places.
    """

    def __init__(
        self, folder: Path, nodes: int = 3, cpus: int = 1, timeout: int = 3, private: Sequence[Path] = ()
    ) -> None:
        self.folder, self.nodes, self.cpus, self.timeout = folder, nodes, cpus, timeout
        self.private = private
        self.names = [f"node{number}" for number in range(nodes)]
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._mark = f"SLURM_CONF={folder / 'slurm.conf'}"  # slurmd hands it to every job

    def __enter__(self) -> Slurm:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        processes.kill_marked(self._mark)

    def _start(self) -> None:
        self._write_configuration()
        self._start_munge()
        self._start_one("slurmctld", [_program("slurmctld"), "-D", "-i"])
        for name in self.names:
            self.start_node(name)
        log = self.folder / "slurmctld.log"
        processes.wait_for(lambda: self.states().count("idle") == self.nodes, "all nodes to be idle", log)

    def _write_configuration(self) -> None:
        (self.folder / "state").mkdir(exist_ok=True)
        controller, *ports = processes.free_ports(1 + self.nodes)
        lines = [
            f"NodeName={name} NodeAddr=127.0.0.1 NodeHostname={socket.gethostname()} Port={port} CPUs={self.cpus} "
            f"RealMemory=100000 State=UNKNOWN"
            for name, port in zip(self.names, ports, strict=True)
        ]
        text = CONFIGURATION.format(
            host=socket.gethostname(),
            controller_port=controller,
            folder=self.folder,
            timeout=self.timeout,
            nodes="\n".join(lines),
        )
        (self.folder / "slurm.conf").write_text(text)

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.touch(0o600)
        key.write_bytes(secrets.token_bytes(1024))
        names = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "seed-file": "munge.seed"}
        options = [f"--{option}={self.folder / name}" for option, name in names.items()]
        self._start_one("munged", [_program("munged"), "--foreground", "--force", *options])
        processes.wait_for((self.folder / "munge.socket").exists, "munge", self.folder / "munged.out")

    def _start_one(self, name: str, command: list[str], **marks: str) -> None:
        processes.start(command, self.folder / f"{name}.out", os.environ | self.environment | marks)

    def start_node(self, name: str) -> None:
        """Start a node, also one that was killed before."""
        (self.folder / f"{name}.spool").mkdir(exist_ok=True)
        own = processes.own_folders(self.folder / f"{name}.own", self.private)
        command = processes.with_own(own, [_program("slurmd"), "-D", "-N", name])
        self._start_one(name, command, SLURMD_NODENAME=name)

    def processes(self, name: str) -> set[int]:
        """Return what runs on a node."""
        return processes.marked(self._mark, f"SLURMD_NODENAME={name}")

    def kill_node(self, name: str) -> int:
        """Kill a node's daemon and all that runs there, without a word to the controller, as a power cut does."""
        return processes.kill_marked(self._mark, f"SLURMD_NODENAME={name}")

    def hurry(self) -> None:
        """Let jobs of a lost node start at once: Slurm holds them back for two minutes, in case the node comes back."""
        for job in self.ask("squeue", "-h", "-r", "-t", "PENDING", "-o", "%A %r").splitlines():
            number, _, reason = job.partition(" ")
            if reason == "BeginTime":
                self.ask("scontrol", "update", f"JobId={number}", "StartTime=now")

    def states(self) -> list[str]:
        """Return the state of every node, as sinfo prints it."""
        return self.ask("sinfo", "-h", "-N", "-o", "%t").split()

    def ask(self, *command: str) -> str:
        """Return what a client program prints, "" where the controller does not answer yet."""
        done = subprocess.run(
            [_program(command[0]), *command[1:]],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    if reason := missing():
        raise SystemExit(f"no Slurm can be started: {reason}")
    with tempfile.TemporaryDirectory() as folder, Slurm(Path(folder) / "slurm", given.nodes, given.cpus) as slurm:
        done = subprocess.run(given.command or ["sinfo", "-N"], env=os.environ | slurm.environment, check=False)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
