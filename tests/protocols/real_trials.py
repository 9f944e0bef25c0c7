"""Trials as a run makes them, on the digits: images, crops and maps of a real network or of the pixels."""

from __future__ import annotations

from ssl_bench.jobs import Request, expand
from ssl_bench.progress import Progress
from ssl_bench.protocols.base import Trial
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings

PIXELS = "pixels,size=8,channels=grey"


def trial_of(
    settings: Settings,
    model: str = PIXELS,
    seed: int = 0,
    pooled: str = "default",
    limit: int = 0,
    task: str = "digits",
) -> Trial:
    """Return the trial of a model on a task with one seed."""
    runner = Runner(settings, Progress())
    [job] = expand(Request((model,), tasks=(task,), protocols=("knn",), pooled=pooled, limit=limit), settings)
    loaded, data = runner._load_model(job.model), runner._load_data(job.task, limit)
    spec = loaded.facts.spec(pooled)
    trial, _ = runner._trial(job, loaded, data, spec)
    return trial if not seed else type(trial)(**{**vars(trial), "seed": seed})
