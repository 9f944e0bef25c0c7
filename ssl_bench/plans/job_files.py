"""What the jobs of a plan leave beside it, and all that `status` and `logs` read.

    <folder>/plan.json
    <folder>/jobs/<index>.started.json    where and when it last began
    <folder>/jobs/<index>.log             what it said
    <folder>/jobs/<index>.done.json       what came of it: records, images, seconds
    <folder>/jobs/<index>.error.json      why it gave less than was asked

Of the last two, the younger counts. They are for people and for whoever waits; what was measured lies in records and
features, and a job that is run again does only what those lack.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from ssl_bench.files import canonical_json, write_text

State = Literal["left", "running", "done", "failed"]
ENDINGS = {"started.json": "running", "done.json": "done", "error.json": "failed"}


@dataclasses.dataclass(frozen=True)
class JobState:
    """How far a job has come, by its files."""

    state: State = "left"
    changed: float = 0.0
    """When it came so far, in seconds since 1970."""
    started: float = 0.0
    """When it last began; 0 where it never did."""

    @property
    def seconds(self) -> float:
        """How long a job that has ended took."""
        return max(0.0, self.changed - self.started) if self.started else 0.0


class JobFiles:
    """The files of a plan's jobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "jobs"

    def path(self, index: int, what: str) -> Path:
        return self.folder / f"{index}.{what}"

    def start(self, index: int) -> None:
        """Note that a job begins here and now."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path(index, "done.json").unlink(missing_ok=True)
        self.path(index, "error.json").unlink(missing_ok=True)
        said = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        write_text(self.path(index, "started.json"), canonical_json(said))

    def end(self, index: int, report: Mapping[str, Any]) -> None:
        """Note what came of a job: it failed where the report has `errors`."""
        what = "error.json" if report.get("errors") else "done.json"
        write_text(self.path(index, what), canonical_json(dict(report)))

    def forget(self, index: int) -> None:
        """Take back what is said of a job, so that it counts as left; its log stays."""
        for what in ENDINGS:
            self.path(index, what).unlink(missing_ok=True)

    def report(self, index: int) -> dict[str, Any]:
        """Return what came of a job; nothing where it has not ended."""
        for what in ("error.json", "done.json"):
            with contextlib.suppress(OSError, ValueError):
                said = json.loads(self.path(index, what).read_text(encoding="utf-8"))
                return said if isinstance(said, dict) else {}
        return {}

    def states(self) -> dict[int, JobState]:
        """Return how far every job has come that ever began, by one look at the folder."""
        times: dict[int, dict[str, float]] = {}
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as entries:
            for entry in entries:
                number, _, what = entry.name.partition(".")
                if what in ENDINGS and number.isdigit():
                    with contextlib.suppress(FileNotFoundError):
                        times.setdefault(int(number), {})[ENDINGS[what]] = entry.stat().st_mtime
        return {index: _state(found) for index, found in times.items()}

    @contextlib.contextmanager
    def logged(self, index: int, echo: bool) -> Iterator[None]:
        """Write what is printed to a job's log, behind what earlier attempts said; `echo`: to the terminal as well."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path(index, "log").open("a", encoding="utf-8", buffering=1) as log:
            out, err = sys.stdout, sys.stderr
            with (
                contextlib.redirect_stdout(_Both(log, out) if echo else log),  # type: ignore[type-var]
                contextlib.redirect_stderr(_Both(log, err) if echo else log),  # type: ignore[type-var]
            ):
                yield


def _state(times: Mapping[str, float]) -> JobState:
    started = times.get("running", 0.0)
    ended = [(when, state) for state, when in times.items() if state != "running"]
    if not ended:
        return JobState("running", started, started)
    when, state = max(ended)
    return JobState("failed" if state == "failed" else "done", when, started)


class _Both:
    """Text that goes to two files."""

    def __init__(self, *files: IO[str]) -> None:
        self.files = files

    def write(self, text: str) -> int:
        for file in self.files:
            file.write(text)
        return len(text)

    def flush(self) -> None:
        for file in self.files:
            file.flush()

    def isatty(self) -> bool:
        return False
