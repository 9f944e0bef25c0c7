"""One run of fine-tuning with UPerNet for a trial: its crops in the order of its seed, its steps, and what it says of
the test images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ssl_bench import distributed
from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.images import normalise
from ssl_bench.predictions import LabelMaps
from ssl_bench.predictions.spool import Spool
from ssl_bench.protocols import _dense, _tuning, _upernet, _upernet_images, base
from ssl_bench.protocols._upernet_images import Crop
from ssl_bench.protocols._upernet_recipes import Recipe
from ssl_bench.training import Settings, train

AHEAD = 4096
"""Crops whose order is laid out at once."""


@dataclasses.dataclass(frozen=True, eq=False)
class Crops:
    """The training crops of a run, step by step, and their masks: `training.Batches`."""

    trial: base.Trial
    recipe: Recipe

    def __call__(self, first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Give the parts of each step from `first` on; see `training.Batches`."""
        where = np.asarray(places, dtype=np.int64)
        block = max(1, AHEAD // len(where))
        while True:
            end = min(first + block, max(self.recipe.steps, first + 1))  # nothing after the last step is read
            order = np.concatenate([self.members(step)[where] for step in range(first, end)])
            numbers = np.concatenate([step * self.recipe.batch + where for step in range(first, end)])
            crops = self.trial.prepared("train", self._crop, order, numbers)
            for _ in range(first, end):
                for start in range(0, len(where), size):
                    yield self._batch([next(crops) for _ in where[start : start + size]])
            first = end

    def members(self, step: int) -> base.IntArray:
        """Return which samples of train are in the batch of a step: permutations follow one another without a gap."""
        samples, batch = self.trial.sizes["train"], self.recipe.batch
        counts = np.arange(step * batch, (step + 1) * batch)
        rounds = counts // samples
        every = {int(number): _tuning.permutation(samples, self.trial.seed, int(number)) for number in set(rounds)}
        return np.array(
            [every[int(number)][count % samples] for number, count in zip(rounds, counts, strict=True)], dtype=np.int64
        )

    def _crop(self, image: Any, target: Any, draws: np.random.Generator) -> Crop:
        return _upernet_images.trained(image, target, draws, self.recipe.crop)

    def _batch(self, crops: Sequence[Crop]) -> tuple[Tensor, Tensor]:
        masks = torch.as_tensor(np.stack([crop.labels for crop in crops]))
        return normal(crops, self.trial), masks.to(self.trial.device, non_blocking=True).long()


def normal(crops: Sequence[Crop], trial: base.Trial) -> Tensor:
    """Return crops of one size as the network sees them, padded with 0: (images, channels, height, width)."""
    assert trial.backbone is not None
    pixels = torch.as_tensor(np.stack([crop.pixels for crop in crops]))
    images = normalise(pixels.to(trial.device, non_blocking=True), trial.backbone.input)
    for image, crop in zip(images, crops, strict=True):
        height, width = crop.inside
        image[:, height:] = 0
        image[:, :, width:] = 0
    return images


def settings_of(recipe: Recipe, trial: base.Trial) -> Settings:
    """Return the numbers of a run: AdamW, a linear warm-up, then a line to 0."""
    return Settings(
        steps=recipe.steps,
        batch=recipe.batch,
        optimiser="adamw",
        rate=recipe.rate,
        schedule="polynomial",
        warmup=recipe.warmup,
        warmup_rate=1e-6 * recipe.rate,
        warmup_reaches=True,
        precision=trial.precision,  # type: ignore[arg-type]
        compile=trial.compile,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Run(_tuning.Run):
    """UPerNet after training."""

    network: _upernet.UPerNet  # type: ignore[assignment]

    def told(self, trial: base.Trial, recipe: Recipe) -> Mapping[str, Any]:
        """Return the recipe as it was resolved for this network and these images."""
        maps = self.network.maps
        return {
            **dataclasses.asdict(recipe),
            "window_step": recipe.window_step,
            "layers": list(maps.layers),
            "widths": list(maps.widths),
            "channels": self.network.channels,
            "relative": maps.relative,
            "drop_path": maps.dropped,
            "samples": trial.sizes["train"],
            "trained_parameters": sum(p.numel() for group in self.groups for p in group.parameters),
            "at_once": self.history.at_once,
            "precision": self.settings.precision,
        }


def run(trial: base.Trial, recipe: Recipe) -> Run:
    """Train a copy of the trial's network inside UPerNet on train, and return it.

    Raises UsageError where the loss is no number or the recipe does not fit the network, MissingError where two crops
    do not fit into memory.
    """
    assert trial.backbone is not None
    if recipe.batch % distributed.world():
        raise UsageError(
            f"segmentation_upernet: {distributed.world()} processes cannot share a batch of {recipe.batch} evenly"
        )
    settings = settings_of(recipe, trial)
    identity = {"job": trial.state.name if trial.state else "", "recipe": dataclasses.asdict(recipe)}
    several = distributed.world() > 1 and trial.device.startswith("cuda")  # torch synchronises no statistics on a CPU
    network = _upernet.upernet(trial.backbone, recipe, trial.classes, trial.seed, several).to(trial.device)
    groups = network.groups(recipe)
    with trial.track("segmentation_upernet", settings.steps) as advance:
        history = train(
            network,
            groups,
            Crops(trial, recipe),
            settings,
            seed=trial.seed,
            state=trial.state / "run.pt" if trial.state else None,
            identity=digest_json(identity),
            advance=advance,
            at_once=trial.at_once,
            loss=network.segmentor.loss,
        )
    return Run(network, settings, history, groups)


def said(run: Run, trial: base.Trial, recipe: Recipe) -> LabelMaps:
    """Return a class for every pixel of every test image, kept on disk."""
    run.network.eval()
    order = np.arange(trial.sizes["test"])
    maps: Any = Spool()
    lower = trial.precision != "float32"

    def whole(image: Any, target: Any, draws: np.random.Generator) -> Crop:
        return _upernet_images.evaluated(image, recipe.crop)

    with trial.track("segmentation_upernet test", len(order), "images") as advance:
        for crop in trial.prepared("test", whole, order):
            with torch.autocast(trial.device.partition(":")[0], getattr(torch, trial.precision), enabled=lower):
                logits = run.network.segmentor.slid(normal([crop], trial))[0].float()
            height, width = crop.inside
            maps.append(_dense.best_classes(logits[:, :height, :width], crop.size))
            advance(1)
    return LabelMaps(maps)
