"""`ssl-bench look`: a page of what a network would see of a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import model_zoo, own_data
from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.files import write_text
from ssl_bench.settings import Resolved, Settings
from ssl_bench.tasks import DENSE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ssl_bench.datasets.base import Split
    from ssl_bench.jobs import Job
    from ssl_bench.runner import Runner
    from ssl_bench.tasks import TaskCard


@click.command(name="look")
@click.argument("task")
@click.option("--model", "-m", default="", help="Show what this model sees, and the neighbours that it finds.")
@click.option("--per-class", type=click.IntRange(min=1), default=3, show_default=True, help="Images of each class.")
@click.option("--neighbours", type=click.IntRange(min=0), default=24, show_default=True, help="Test images to look up.")
@click.option("--images", type=click.IntRange(min=1), default=8, show_default=True, help="Images of a dense task.")
@click.option("--protocol", "-p", default="", help="Of a dense task: run this protocol, and show what it says.")
@click.option("--html", "out", type=click.Path(path_type=Path), help="File to write [look-TASK.html].")
@with_settings(PLACES, WORK)
def command(
    task: str,
    model: str,
    per_class: int,
    neighbours: int,
    images: int,
    protocol: str,
    out: Path | None,
    resolved: Resolved,
) -> None:
    """Write a page to look at before measuring: images after the model's own transform, class balance, neighbours.

    Of a dense task (masks, depths, objects) the page shows images beside what is true of them, the model's features as
    colours, and, with --protocol, what that says of test images and where it errs. TASK is a task, a card's file or a
    folder of images.

    \b
    Examples:
      ssl-bench look digits
      ssl-bench look ./my_images --model dinov2_vitb14
      ssl-bench look camvid --model dinov2_vits14 --protocol segmentation_knn
    """
    from ssl_bench import datasets, look

    settings = resolved.settings
    card = own_data.get(task, settings.shelves)
    dense = card.kind in DENSE
    if protocol and not (dense and model):
        raise UsageError("--protocol is for tasks of images' parts, such as masks, and needs a --model")
    splits = datasets.load(card, settings.data)
    if dense:
        page = _of_parts(card, splits, model, protocol, images, settings)
    else:
        more: dict[str, Any] = {}
        if model:
            trial = trial_of(model, card, settings)
            more = {"model": model, "spec": trial.backbone.input}
            if "train" in splits:
                more["neighbours"] = look.neighbours_of(trial, neighbours)
        page = look.page(card, splits, per_class=per_class, **more)
    out = out or Path(f"look-{card.name}.html")
    write_text(out, page)
    click.echo(out)


def _of_parts(
    card: TaskCard, splits: Mapping[str, Split], model: str, protocol: str, count: int, settings: Settings
) -> str:
    """Return the page of a dense task."""
    from ssl_bench.look import parts

    if not model:
        return parts.page(card, splits, count)
    runner, job = runner_of(model, card, settings, protocol or "knn")
    if protocol and card.kind not in job.protocol.kinds:
        raise UsageError(f"{protocol} asks {' and '.join(job.protocol.kinds)}, and {card.name} is of {card.kind}")
    backbone = runner.loaded(job.model).backbone
    said = parts.said_by(runner, job, parts.spread(splits["test"], count)) if protocol else None
    return parts.page(
        card, splits, count, model=model, seen=parts.seen_by(backbone, splits, count, runner.device), said=said
    )


def trial_of(model: str, card: TaskCard, settings: Settings) -> Any:
    """Return what a frozen-feature protocol would look at, of a model whose weights are here."""
    runner, job = runner_of(model, card, settings, "episodic" if card.kind == "few_shot" else "knn")
    return runner.trial(job)


def runner_of(model: str, card: TaskCard, settings: Settings, protocol: str) -> tuple[Runner, Job]:
    """Return what runs a job, and the job, of a model whose weights are here."""
    from ssl_bench import protocols
    from ssl_bench.jobs import Job
    from ssl_bench.machine import preflight
    from ssl_bench.plans.planner import Planner, missing_lines
    from ssl_bench.progress import choose
    from ssl_bench.runner import Runner

    job = Job(model_zoo.get(model, settings.shelves), card, protocol, protocols.get(protocol), seed=0)
    if lacking := missing_lines(Planner(settings).plan([job])):
        raise MissingError("\n".join(lacking))
    preflight(settings)
    return Runner(settings, choose(settings.progress)), job
