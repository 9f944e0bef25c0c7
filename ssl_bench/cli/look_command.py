"""`ssl-bench look`: a page of what a network would see of a task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ssl_bench import model_zoo, own_data
from ssl_bench.cli.options import PLACES, WORK, with_settings
from ssl_bench.errors import MissingError
from ssl_bench.files import write_text
from ssl_bench.settings import Resolved, Settings

if TYPE_CHECKING:
    from ssl_bench.tasks import TaskCard


@click.command(name="look")
@click.argument("task")
@click.option("--model", "-m", default="", help="Show what this model sees, and the neighbours that it finds.")
@click.option("--per-class", type=click.IntRange(min=1), default=3, show_default=True, help="Images of each class.")
@click.option("--neighbours", type=click.IntRange(min=0), default=24, show_default=True, help="Test images to look up.")
@click.option("--html", "out", type=click.Path(path_type=Path), help="File to write [look-TASK.html].")
@with_settings(PLACES, WORK)
def command(task: str, model: str, per_class: int, neighbours: int, out: Path | None, resolved: Resolved) -> None:
    """Write a page to look at before measuring: images after the model's own transform, class balance, neighbours.

    TASK is a task, a card's file or a folder of images.

    \b
    Examples:
      ssl-bench look digits
      ssl-bench look ./my_images --model dinov2_vitb14
    """
    from ssl_bench import datasets, look

    settings = resolved.settings
    card = own_data.get(task, settings.shelves)
    splits = datasets.load(card, settings.data)
    more: dict[str, Any] = {}
    if model:
        trial = trial_of(model, card, resolved.settings)
        more = {"model": model, "spec": trial.backbone.input}
        if "train" in splits:
            more["neighbours"] = look.neighbours_of(trial, neighbours)
    out = out or Path(f"look-{card.name}.html")
    write_text(out, look.page(card, splits, per_class=per_class, **more))
    click.echo(out)


def trial_of(model: str, card: TaskCard, settings: Settings) -> Any:
    """Return what a frozen-feature protocol would look at, of a model whose weights are here."""
    from ssl_bench import protocols
    from ssl_bench.jobs import Job
    from ssl_bench.machine import preflight
    from ssl_bench.plan import Planner, missing_lines
    from ssl_bench.progress import choose
    from ssl_bench.runner import Runner

    name = "episodic" if card.kind == "few_shot" else "knn"  # what asks a set that has no train
    job = Job(model_zoo.get(model, settings.shelves), card, name, protocols.get(name), seed=0)
    if lacking := missing_lines(Planner(settings).plan([job])):
        raise MissingError("\n".join(lacking))
    preflight(settings)
    return Runner(settings, choose(settings.progress)).trial(job)
