"""One run of fine-tuning for a trial: its images in the order of its seed, its steps, what is measured on the way."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ssl_bench import metrics
from ssl_bench.files import digest_json
from ssl_bench.images.training import TrainingAugmentation
from ssl_bench.predictions import Classes, Truth
from ssl_bench.protocols import _heads, _supports, _tuned, base
from ssl_bench.protocols._recipes import Recipe
from ssl_bench.training import Group, History, Mix, Settings, train

if TYPE_CHECKING:
    from ssl_bench.protocols._tuned import Tuned

AHEAD = 65_536
"""Images whose order is laid out at once."""
POINTS = 20
"""Times that val is looked at in a run, at most, and rows of its curve."""

Pool = Sequence[tuple[str, base.IntArray]]
"""What is trained on: splits, and positions in them."""


def steps_of(recipe: Recipe, samples: int) -> tuple[int, int]:
    """Return the steps of a run on so many images, and those of its warm-up.

    An epoch is as many whole batches as there are, and the rest is left out, as by the published codes. Fewer images
    than a batch, which those codes cannot train on, pass in permutations one after the other, as often in all.
    """
    a_epoch = samples // recipe.batch or samples / recipe.batch
    warmup = round(recipe.warmup * a_epoch)
    if recipe.steps:
        return recipe.steps, warmup
    steps = max(1, round(recipe.epochs * a_epoch))
    return steps, min(warmup, steps - 1)


def settings_of(recipe: Recipe, samples: int, rate: float, precision: Any, compiled: bool = False) -> Settings:
    """Return the numbers of a run on so many images at a rate before it is scaled."""
    steps, warmup = steps_of(recipe, samples)
    mixes = recipe.mixup > 0 or recipe.cutmix > 0
    return Settings(
        steps=steps,
        batch=recipe.batch,
        optimiser=recipe.optimiser,
        rate=rate * recipe.batch / 256 if recipe.scale_rate else rate,
        momentum=recipe.momentum,
        nesterov=recipe.optimiser == "sgd" and recipe.momentum > 0,
        schedule=recipe.schedule,
        warmup=warmup,
        warmup_reaches=recipe.warmup_reaches,
        least_rate=recipe.least_rate,
        clip=recipe.clip or None,
        ema=recipe.ema or None,
        precision=precision,
        compile=compiled,
        label_smoothing=recipe.smoothing,
        mixup=Mix(recipe.mixup, recipe.cutmix) if mixes else None,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """The training images of a run, step by step: `training.Batches`."""

    trial: base.Trial
    pool: Pool
    recipe: Recipe
    steps: int

    @functools.cached_property
    def samples(self) -> int:
        return sum(len(positions) for _, positions in self.pool)

    @functools.cached_property
    def _labels(self) -> Tensor:
        return torch.as_tensor(np.concatenate([self.trial.labels[split][positions] for split, positions in self.pool]))

    def __call__(self, first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the parts of each step from `first` on; see `training.Batches`."""
        where = np.asarray(places, dtype=np.int64)
        block = max(1, AHEAD // len(where))
        while True:
            end = min(first + block, max(self.steps, first + 1))  # no image after the last step is decoded ahead
            cuts = [where[start : start + size] for start in range(0, len(where), size)]
            drawn = [self.members(step)[part] for step in range(first, end) for part in cuts]
            numbers = [step * self.recipe.batch + part for step in range(first, end) for part in cuts]
            yield from self._parts(drawn, numbers)
            first = end

    def members(self, step: int) -> base.IntArray:
        """Return which samples of the pool, counted through its splits, are in the batch of a step."""
        samples, batch = self.samples, self.recipe.batch
        if samples >= batch:
            epoch, number = divmod(step, samples // batch)
            return self._permutation(epoch)[number * batch : (number + 1) * batch]
        counts = np.arange(step * batch, (step + 1) * batch)
        epochs = np.unique(counts // samples)
        rounds: base.IntArray = np.concatenate([self._permutation(int(epoch)) for epoch in epochs])
        found: base.IntArray = rounds[counts - epochs[0] * samples]
        return found

    def _permutation(self, epoch: int) -> base.IntArray:
        return permutation(self.samples, self.trial.seed, epoch)

    def _parts(self, drawn: list[base.IntArray], places: list[base.IntArray]) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the images of each part, from whichever splits they are, and their labels."""
        begins = np.cumsum([0, *(len(positions) for _, positions in self.pool)])
        of = [np.searchsorted(begins, part, side="right") - 1 for part in drawn]
        sources = [self._of_split(number, begins[number], drawn, places, of) for number in range(len(self.pool))]
        for part, owner in zip(drawn, of, strict=True):
            images: Tensor | None = None
            for number, source in enumerate(sources):
                chosen = np.flatnonzero(owner == number)
                if len(chosen) == len(part):
                    images = next(source)
                elif len(chosen):
                    found = next(source)
                    images = found.new_empty((len(part), *found.shape[1:])) if images is None else images
                    images[torch.as_tensor(chosen, device=found.device)] = found
            assert images is not None
            labels = self._labels[torch.as_tensor(part)]
            yield images, labels.to(self.trial.device, non_blocking=True)  # without waiting for what the device does

    def _of_split(
        self, number: int, begin: int, drawn: list[base.IntArray], places: list[base.IntArray], of: list[base.IntArray]
    ) -> Iterator[Tensor]:
        """Give the images of one split among those of each part that has any."""
        split, positions = self.pool[number]
        own = [positions[part[owner == number] - begin] for part, owner in zip(drawn, of, strict=True)]
        where = [part[owner == number] for part, owner in zip(places, of, strict=True)]
        sizes = [len(part) for part in own if len(part)]
        if not sizes:
            return iter(())
        order, numbers = np.concatenate(own), np.concatenate(where)
        return self.trial.batches(split, augmentation_of(self.recipe), order, sizes, numbers)


@functools.lru_cache(maxsize=4)
def permutation(samples: int, seed: int, epoch: int) -> base.IntArray:
    return np.random.default_rng([seed, epoch]).permutation(samples)


def augmentation_of(recipe: Recipe) -> TrainingAugmentation | None:
    """Return what is done to training images; None for those that are taken as they are evaluated."""
    if not recipe.crop:
        return None
    return TrainingAugmentation(
        scale=(recipe.crop, 1.0), flip=recipe.flip, auto=recipe.auto, jitter=recipe.jitter, erase=recipe.erase
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """A network after fine-tuning."""

    network: Tuned
    settings: Settings
    history: History
    groups: Sequence[Group]

    @property
    def cost(self) -> dict[str, float]:
        """What the run took, for the record."""
        return self.history.cost(self.settings.batch)

    def curve(self, samples: int) -> tuple[dict[str, Any], ...]:
        """Return the course of the run in rows: mean loss since the row before, rate, and what val said."""
        steps, said = len(self.history.losses), dict(self.history.evaluations)
        marks = set(said) or {round(steps * (i + 1) / POINTS) for i in range(POINTS)}
        rows, before = [], 0
        for step in sorted(marks - {0}):
            row = {
                "step": step,
                "epoch": step * self.settings.batch / samples,
                "train_loss": float(np.mean(self.history.losses[before:step])),
                "rate": self.history.rates[step - 1],
            }
            measured = {key: value for key, value in said.get(step, {}).items() if isinstance(value, float)}
            rows.append({key: float(f"{value:.6g}") for key, value in (row | measured).items()} | {"step": step})
            before = step
        return tuple(rows)


def run(
    trial: base.Trial,
    recipe: Recipe,
    pool: Pool,
    rate: float,
    decay: float,
    *,
    what: str,
    measure: Any = None,
    every: int = 0,
) -> Run:
    """Train a copy of the trial's network on the pool, and return it; `measure(network, step)` is asked on the way.

    Raises UsageError where the loss is no number or the recipe does not fit the network, MissingError where one image
    does not fit into memory.
    """
    assert trial.backbone is not None
    images = Images(trial, pool, recipe, 0)
    settings = settings_of(recipe, images.samples, rate, trial.precision, trial.compile)
    network = _tuned.tuned(trial.backbone, recipe, trial.pooled, trial.classes, trial.seed).to(trial.device)
    groups = network.groups(recipe, decay / rate if recipe.decay_by_rate else decay)
    chosen = [[split, _supports.digest(positions)] for split, positions in pool]
    with trial.track(f"fine_tune {what}", settings.steps) as advance:
        history = train(
            network,
            groups,
            dataclasses.replace(images, steps=settings.steps),
            settings,
            seed=trial.seed,
            state=trial.state / f"{what.replace(' ', '_')}.pt" if trial.state else None,
            identity=digest_json({"job": trial.state.name if trial.state else "", "on": chosen, "decay": decay}),
            advance=advance,
            evaluate=None if measure is None else lambda step: measure(network, step),
            every=every,
            at_once=trial.at_once,
        )
    return Run(network, settings, history, groups)


@torch.no_grad()
def logits(network: Tuned, trial: base.Trial, split: str, positions: base.IntArray | None = None) -> Tensor:
    """Return what the network says of images as they are evaluated: (samples, classes), float32, on the CPU."""
    network.eval()
    order = np.arange(trial.sizes[split]) if positions is None else positions
    lower = trial.precision != "float32"
    with torch.autocast(trial.device.partition(":")[0], getattr(torch, trial.precision), enabled=lower):
        found = [network(images).float().cpu() for images in trial.batches(split, None, order, _heads.AT_ONCE)]
    return torch.cat(found)


def classes_of(said: Tensor, *, every: bool) -> Classes:
    """Return logits (samples, classes) as predictions."""
    return _heads.classes_of(said[:, None], every=every)[0]


def measured(said: Tensor, labels: base.IntArray, trial: base.Trial) -> dict[str, float]:
    """Return the task's metric on samples that choose, and their loss, under the names of a curve."""
    metric = metrics.get(trial.metric or "top1")
    value, _, _ = metric.score(classes_of(said, every=metric.every_score), Truth({"test": labels}, trial.classes))
    loss = torch.nn.functional.cross_entropy(said, torch.as_tensor(labels))
    return {f"val_{metric.name}": float(f"{value:.6g}"), "val_loss": float(f"{float(loss):.6g}")}


def told(run: Run, recipe: Recipe, samples: int) -> Mapping[str, Any]:
    """Return the recipe as it was resolved for this network and these images."""
    settings = run.settings
    return {
        **{key: list(value) if isinstance(value, tuple) else value for key, value in vars(recipe).items()},
        "steps": settings.steps,
        "warmup_steps": settings.warmup,
        "peak_rate": settings.rate,
        "drop_path": run.network.dropped,
        "pooling": run.network.pooling,
        "norm_before_head": type(run.network.norm).__name__ == "LayerNorm",
        "samples": samples,
        "layers": len({group.name.partition(" with")[0] for group in run.groups}),
        "trained_parameters": sum(p.numel() for group in run.groups for p in group.parameters),
        "precision": settings.precision,
    }
