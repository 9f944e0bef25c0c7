"""Trials of any model on any task as a run makes them, and the truth that they do not hold."""

from __future__ import annotations

from ssl_bench import model_zoo, protocols
from ssl_bench.jobs import Job
from ssl_bench.predictions import Truth
from ssl_bench.progress import Progress
from ssl_bench.protocols.base import Trial
from ssl_bench.recording import truth_of
from ssl_bench.runner import Runner
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard


def trial_and_truth(settings: Settings, model: str, task: TaskCard) -> tuple[Trial, Truth]:
    """Return what a protocol sees of a model and a task with seed 0, and what scoring knows."""
    runner = Runner(settings, Progress())
    job = Job(model_zoo.get(model), task, "knn", protocols.get("knn"), seed=0)
    loaded, data = runner._load_model(job.model), runner._load_data(task, 0)
    trial, _ = runner._trial(job, loaded, data, loaded.facts.spec("default"))
    return trial, truth_of(task, data, None)
