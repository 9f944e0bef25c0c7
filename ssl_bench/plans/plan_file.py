"""A plan as a file: everything that is to be done, in jobs of which any machine can do any one with the file alone.

An *extract* job passes a model over a task's images, or over one shard of them; a *probe* job asks what rests on these
features. What a job comes after is said, and is never needed: a probe extracts for itself what it does not find.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ssl_bench import __version__, cards, protocols
from ssl_bench.errors import UsageError
from ssl_bench.files import canonical_json, digest_json, uncollected, write_text
from ssl_bench.images import InputCard
from ssl_bench.jobs import Job
from ssl_bench.model_zoo import ModelCard
from ssl_bench.protocols.base import Protocol
from ssl_bench.settings import Settings
from ssl_bench.tasks import TaskCard

FORMAT = "ssl-bench.plan/1"
NAME = "plan.json"
LOCAL = ("progress", "mirror")
"""Settings that a plan does not carry: they are those of the terminal and the machine that it was made on."""
PLACES = ("data", "weights", "cache", "shared_cache", "results")
Kind = Literal["extract", "probe"]


@dataclasses.dataclass(frozen=True)
class PlanJob:
    """What one process of an engine does at a time."""

    kind: Kind
    model: str
    task: str
    asked: tuple[tuple[int, int], ...]
    """(recipe, seed) of each record that it makes or prepares; a recipe is its place in the plan's list."""
    shard: tuple[int, int] = (0, 1)
    """Which part of the images an extract job takes, from 0, and of how many."""
    after: tuple[int, ...] = ()
    """Jobs that are worth waiting for."""
    images: int | None = None
    """Images that pass the network, as far as is known."""
    seconds: float | None = None
    """Estimate for that; None where nothing was measured."""
    first: bool = False
    """What rests on it takes so long that it is begun before what others of its model are."""

    @property
    def light(self) -> bool:
        """True where no image need pass a network, once what the job comes after is done."""
        return self.kind == "probe" and self.images == 0

    @property
    def label(self) -> str:
        """What the job is called where it is spoken of."""
        part = f" shard {self.shard[0] + 1} of {self.shard[1]}" if self.shard[1] > 1 else ""
        return f"{self.kind} {self.model} × {self.task}{part}"


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What was asked for, and the jobs that do it."""

    table: Mapping[str, Any]
    """As in the file."""
    where: str
    """The file, for errors."""

    @functools.cached_property
    def jobs(self) -> tuple[PlanJob, ...]:
        return tuple(_job(raw) for raw in self.table["jobs"])

    @property
    def identity(self) -> str:
        """sha256 (hex) of the plan, whatever file it is in."""
        return digest_json(self.table)

    def settings(self, flags: Mapping[str, Any] | None = None) -> Settings:
        """Return the settings that the plan was made under, with `flags` that are given over them."""
        given = {key: value for key, value in (flags or {}).items() if value is not None and value != ()}
        stated = {**self.table["settings"], **cards.plain(given)}
        paths = {key: _place(value) for key, value in stated.items() if key in PLACES}
        return Settings(**stated | paths | {"shelf": tuple(map(Path, stated.get("shelf", ())))})

    @functools.cache  # noqa: B019 - a plan lives as long as its process
    def model(self, name: str) -> ModelCard:
        return cards.from_table(ModelCard, self.table["models"][name], f"{self.where}: models.{name}")

    @functools.cache  # noqa: B019
    def task(self, name: str) -> TaskCard:
        return cards.from_table(TaskCard, self.table["tasks"][name], f"{self.where}: tasks.{name}")

    def job(self, index: int) -> PlanJob:
        """Return one job; raise UsageError for a number that the plan has not."""
        raw = self.table["jobs"]
        if not 0 <= index < len(raw):
            raise UsageError(f"{self.where} has the jobs 0 to {len(raw) - 1}, and no {index}")
        return _job(raw[index])

    def asked(self, job: PlanJob) -> list[Job]:
        """Return the units of record that a job makes or prepares."""
        said = self.table["asked"]
        model, task = self.model(job.model), self.task(job.task)
        prescribed = cards.from_table(InputCard, said["input"], f"{self.where}: asked.input")
        words = {key: said[key] for key in ("pooled", "precision", "limit")}
        return [Job(model, task, *self._recipe(recipe), seed, input=prescribed, **words) for recipe, seed in job.asked]

    @functools.cache  # noqa: B019
    def _recipe(self, place: int) -> tuple[str, Protocol]:
        name, fields = self.table["recipes"][place]
        return name, protocols.from_recipe(name, fields, f"{self.where}: recipes[{place}]")


def _job(raw: Mapping[str, Any]) -> PlanJob:
    tuples = {key: tuple(raw[key]) for key in ("shard", "after") if key in raw}
    return PlanJob(**{**raw, **tuples, "asked": tuple((recipe, seed) for recipe, seed in raw["asked"])})


def _place(value: str) -> Path | str:
    return value if "://" in value or not value else Path(value)


def build(
    jobs: Sequence[PlanJob], asked: Sequence[Job], recipes: Sequence[tuple[str, Any]], settings: Settings
) -> Plan:
    """Return the plan of some jobs, which speak of `asked` and of `recipes`, with all cards by value."""
    first = asked[0]
    models = {job.model.name: job.model for job in asked}
    tasks = {job.task.name: job.task for job in asked}
    table = {
        "format": FORMAT,
        "ssl_bench": __version__,
        "asked": {
            "pooled": first.pooled,
            "input": first.input.stated(),
            "precision": first.precision,
            "limit": first.limit,
        },
        "settings": _stated(settings),
        "recipes": [[name, cards.plain(protocol)] for name, protocol in recipes],
        "models": {name: cards.plain(_placed(card)) for name, card in models.items()},
        "tasks": {name: cards.plain(card) for name, card in tasks.items()},
        "jobs": [_said(job) for job in jobs],
    }
    return Plan(json.loads(canonical_json(table)), "the plan")


def _placed(card: ModelCard) -> ModelCard:
    """Return a card whose files are found from any folder."""
    return dataclasses.replace(card, folder=str(Path(card.folder).absolute()))


def _stated(settings: Settings) -> dict[str, Any]:
    found = {}
    for key, value in vars(settings).items():
        if key not in LOCAL:
            found[key] = str(value.absolute()) if isinstance(value, Path) else value
    return found | {"shelf": [str(path.absolute()) for path in settings.shelf]}


def _said(job: PlanJob) -> dict[str, Any]:
    """Return what a job's line says: what differs from the default."""
    defaults = {field.name: field.default for field in dataclasses.fields(PlanJob)}
    return {key: cards.plain(value) for key, value in vars(job).items() if value != defaults[key]}


def write(plan: Plan, path: Path) -> None:
    """Write a plan, a line per job."""
    head = {key: value for key, value in plan.table.items() if key != "jobs"}
    jobs = ",\n".join(canonical_json(job) for job in plan.table["jobs"])
    write_text(path, f'{canonical_json(head)[:-1]},"jobs":[\n{jobs}\n]}}\n')


def read(path: Path) -> Plan:
    """Return the plan in a file, or in a folder's plan.json; raise UsageError for what is none."""
    path = path / NAME if path.is_dir() else path
    try:
        with uncollected():
            table = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the plan {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no plan: {error}; `ssl-bench plan … --out` writes one") from error
    if not isinstance(table, dict) or table.get("format") != FORMAT:
        said = table.get("format") if isinstance(table, dict) else type(table).__name__
        raise UsageError(f"{path} is no plan of this version: its format is {said!r}, not {FORMAT!r}; make it anew")
    return Plan(table, str(path))
