"""Small plans on real images, and a worker in this process that does them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench.executors.base import Work
from ssl_bench.jobs import Request, expand
from ssl_bench.plans import dividing, plan_file
from ssl_bench.plans.plan_job import Doer
from ssl_bench.plans.planner import Planner
from ssl_bench.settings import Settings
from tests.cli.conftest import command

__all__ = ["command"]
PIXELS = "pixels,size=8,channels=grey"
VIT = "digits_vit"


TOP = Path(ssl_bench.__file__).parent.parent


@pytest.fixture(autouse=True)
def _modules_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes find the modules of these tests, whatever else calls itself `tests` beside the package."""
    monkeypatch.setenv("PYTHONPATH", str(TOP))


@dataclasses.dataclass(frozen=True)
class Planned:
    """A plan in a folder of its own, with the settings that it was made under."""

    work: Work
    settings: Settings

    def do(self, indices: Sequence[int] | None = None) -> list[dict]:  # type: ignore[type-arg]
        """Do jobs, all in their order unless some are named, and return what came of each."""
        doer = Doer(self.work.plan, self.work.plan.settings(), self.work.folder)
        return [doer.do(index) for index in (range(len(self.work.plan.jobs)) if indices is None else indices)]


Make = Callable[..., Planned]


@pytest.fixture
def make(own_settings: Settings, tmp_path: Path) -> Make:
    """Plan models on a task, with a cache and records of its own for every name."""

    def plan(
        *models: str,
        name: str = "here",
        task: str = "digits",
        protocols: Sequence[str] = ("knn",),
        shard_images: int = 10**6,
        limit: int = 0,
        **changes: object,
    ) -> Planned:
        places = {"cache": tmp_path / name / "cache", "results": tmp_path / name / "results"}
        settings = dataclasses.replace(own_settings, **places | changes)  # type: ignore[arg-type]
        planner = Planner(settings)
        request = Request(models or (VIT,), tasks=(task,), protocols=tuple(protocols), limit=limit)
        planned = planner.plan(expand(request, settings))
        made = dividing.divide(planned, planner, settings, shard_images)
        plan_file.write(made, tmp_path / name / plan_file.NAME)
        return Planned(Work(plan_file.read(tmp_path / name), tmp_path / name), settings)

    return plan
