"""Processes that a cluster of this machine is made of: started with a log each, found by a mark, ended whole."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 60.0
"""Seconds that a machine which does other work too may take for what takes a second alone."""


def start(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, whose output goes to a file."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )


def cannot_separate() -> str:
    """Return why a process cannot be given a view of the file system of its own here, or ""."""
    line = ["unshare", "--mount", "--propagation", "private", "true"]
    if shutil.which("unshare") and subprocess.run(line, capture_output=True, check=False).returncode == 0:
        return ""
    return "`unshare --mount` is not allowed, so nodes of one machine see the same folders"


def own_folders(parent: Path, places: Sequence[Path]) -> dict[Path, Path]:
    """Return a new folder below `parent` for each place, for `with_own`."""
    found = {place: parent / str(number) for number, place in enumerate(places)}
    for folder in (*found, *found.values()):
        folder.mkdir(parents=True, exist_ok=True)
    return found


def with_own(folders: Mapping[Path, Path], command: Sequence[str]) -> list[str]:
    """Return a command that sees, and whose children see, a folder of their own where others see another's content.

    `folders` are places to what is seen there; all of them exist.
    """
    mounts = "".join(f"mount --bind {shlex.quote(str(own))} {shlex.quote(str(at))} && " for at, own in folders.items())
    line = ["unshare", "--mount", "--propagation", "private", "sh", "-c", f'{mounts}exec "$@"', "sh"]
    return [*line, *command] if folders else list(command)


def marked(*marks: str) -> set[int]:
    """Return the living processes that were started with every mark ("NAME=value") in their environment, and theirs.

    Processes that write a title of their own over their environment are found as children.
    """
    wanted, found, parents = {mark.encode() for mark in marks}, set(), {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            pid = int(folder.name)
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z" and pid != os.getpid():
                parents[pid] = int(parent)
                if wanted <= set((folder / "environ").read_bytes().split(b"\0")):
                    found.add(pid)
    while children := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= children
    return found


def kill_marked(*marks: str) -> int:
    """Kill every process that bears all the marks, and what these start meanwhile; return how many there were."""
    killed: set[int] = set()
    while found := marked(*marks):
        for pid in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed |= found
        time.sleep(0.02)
    return len(killed)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nothing listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(condition: Callable[[], object], what: str, log: Path | None = None) -> None:
    """Wait until a condition holds; raise TimeoutError, which ends with the last lines of `log`, after `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log and log.is_file() else ""
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}\n{last}".rstrip())
        time.sleep(0.05)
