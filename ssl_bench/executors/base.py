"""What every executor is: a way of getting jobs of a plan done somewhere.

The engine alone knows whether a job is still to be expected; what a job did is in the plan's folder, and there only.
Nothing is claimed or locked: a job that is done twice costs time and changes nothing.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.plans.job_files import JobFiles
from ssl_bench.plans.plan_file import NAME, Plan

State = Literal["waiting", "running", "ended"]
"""`ended`: nothing more will come of it here, whether the job is done, failed, or lost with its machine."""


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """A plan in its folder, which every worker sees."""

    plan: Plan
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / NAME

    @property
    def files(self) -> JobFiles:
        return JobFiles(self.folder)


class Executor(abc.ABC):
    """Gets jobs done. It is opened with a plan and closed when no more is asked of it."""

    options: ClassVar[Mapping[str, str]] = {}
    """What may be stated besides the number of workers: option to what it means."""
    resumes: ClassVar[bool] = False
    """True where submitted jobs go on when the process that submitted them ends."""
    grace: ClassVar[float] = 0.0
    """Seconds that a job's last file may take to be seen here after the engine has let go of the job."""

    def __init__(self, work: Work, parallel: int, stated: Mapping[str, str]) -> None:
        """Make ready to do jobs of a plan, `parallel` at once (0: as many as fit), under options as they were stated.

        Raises UsageError for an unknown option, MissingError where a package is not installed.
        """
        self.work = work
        self.parallel = parallel
        self.stated = checked(type(self), stated)

    @abc.abstractmethod
    def submit(self, indices: Sequence[int]) -> None:
        """Take jobs in. One that comes after others of those that were taken in starts when they have ended."""

    @abc.abstractmethod
    def poll(self, seconds: float) -> Mapping[int, State]:
        """Return how it stands with every job that was taken in, after waiting up to `seconds` for a change."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Start nothing more, and let what runs come to its end."""

    @abc.abstractmethod
    def cancel(self) -> None:
        """End what runs, too."""

    def close(self) -> None:
        """Let go of workers and connections."""
        return


def checked(kind: type[Executor], stated: Mapping[str, str]) -> dict[str, str]:
    """Return the options that were stated; raise UsageError for one that the executor does not know."""
    for key in stated:
        if key not in kind.options:
            known = ", ".join(kind.options) or "none"
            name = kind.__module__.rpartition(".")[2]
            raise UsageError(
                f"the executor {name} has no option {key!r}.{did_you_mean(key, kind.options)} It has: {known}"
            )
    return {key: str(value) for key, value in stated.items()}


def whole_number(stated: Mapping[str, str], key: str, default: int) -> int:
    """Return an option as a whole number; raise UsageError where it is none."""
    text = stated.get(key, str(default))
    if not text.isdigit():
        raise UsageError(f"--executor-option {key}={text} is no whole number")
    return int(text)
