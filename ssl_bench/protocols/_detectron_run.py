"""One run of a detector for a trial: what of it is trained, its steps, what it finds."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ssl_bench import distributed
from ssl_bench.backbones.base import build_seeded
from ssl_bench.files import digest_json
from ssl_bench.heads import detectron
from ssl_bench.images import InputSpec
from ssl_bench.predictions import Found
from ssl_bench.protocols import _detectron_images, _tuned, base
from ssl_bench.protocols._detectron_recipes import Recipe
from ssl_bench.targets import outlines
from ssl_bench.training import Group, History, Settings
from ssl_bench.training import train as training

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.GroupNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
)
"""Modules whose parameters detectron2 spares weight decay (solver/build.py); its own norm of pyramids is none."""
SPARED = ("pos_embed", "gamma", "gamma_1", "gamma_2", "relative_position_bias_table")
"""Last parts of names of parameters that do not decay: positions, and the layer scale that ViTDet's network lacks."""


def seeded(build: Callable[[], nn.Module], trial: base.Trial) -> nn.Module:
    """Return what `build` makes, its heads drawn by the trial's seed, on the device."""
    network = build_seeded(build, trial.seed)
    if distributed.world() > 1 and trial.device.startswith("cuda"):
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return network.to(trial.device)


def trained(trunk: nn.Module, network: Any, spec: InputSpec) -> None:
    """Have those parameters of a network trained that its maps depend on.

    Raises UsageError where it takes no image of 64 pixels.
    """
    network.requires_grad_(True)
    images = torch.zeros(1, 1 if spec.channels == "grey" else 3, 64, 64)
    maps = trunk(images)
    _tuned.spare_the_unused(network, sum(one.sum() for one in ([maps] if isinstance(maps, Tensor) else maps)))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True, eq=False)
class Run:
    """What became of a training."""

    settings: Settings
    history: History
    groups: Sequence[Group]


def train(
    detector: nn.Module,
    groups: Sequence[Group],
    trial: base.Trial,
    recipe: Recipe,
    positions: base.IntArray,
    masks: bool,
) -> Run:
    """Train the detector in place on the images of train at these positions."""
    inputs, settings = _detectron_images.Inputs(trial, positions, recipe, masks), settings_of(recipe, trial.precision)
    with trial.track("train", settings.steps) as advance:
        history = training(
            detectron.Losses(detector),
            groups,
            inputs,
            settings,
            seed=trial.seed,
            state=trial.state / "detector.pt" if trial.state else None,
            identity=digest_json({"job": trial.state.name if trial.state else "", "on": positions.tolist()}),
            advance=advance,
            at_once=trial.at_once,
            loss=lambda said, parts: said * len(parts),
        )
    if recipe.precise:
        _count_anew(detector, inputs, recipe, history.at_once)
    return Run(settings, history, groups)


def settings_of(recipe: Recipe, precision: Any) -> Settings:
    """Return the numbers of a run."""
    return Settings(
        steps=recipe.steps,
        batch=recipe.batch,
        optimiser=recipe.optimiser,
        rate=recipe.rate,
        momentum=recipe.momentum,
        schedule="milestones",
        milestones=tuple(round(share * recipe.steps) for share in recipe.milestones),
        warmup=recipe.warmup,
        warmup_rate=recipe.rate / 1000,
        precision=precision,
    )


def groups_of(detector: nn.Module, network: nn.Module, recipe: Recipe) -> list[Group]:
    """Return what is trained, by layer of the network in the detector and by whether it decays."""
    norms = {
        id(parameter)
        for module in detector.modules()
        if isinstance(module, NORMS)
        for parameter in module.parameters(recurse=False)
    }

    def decays(name: str, parameter: nn.Parameter) -> bool:
        spared = id(parameter) in norms or name.rpartition(".")[2] in SPARED
        return recipe.decay_norms or not spared

    return _tuned.grouped(detector, network, recipe.layer_decay, recipe.decay, decays, "detection_vitdet")


def _count_anew(network: nn.Module, inputs: _detectron_images.Inputs, recipe: Recipe, size: int) -> None:
    """Take the statistics of batch normalisation over whole batches, with the weights of the end (fvcore's)."""
    from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats

    losses = detectron.Losses(network).train()
    if get_bn_modules(losses):
        parts = inputs(recipe.steps, range(recipe.batch), size or recipe.batch)
        with torch.random.fork_rng():
            update_bn_stats(losses, (part for part, _ in parts), recipe.precise)
        distributed.copy_first(network.buffers())
    network.eval()


@torch.no_grad()
def found(network: nn.Module, trial: base.Trial, recipe: Recipe) -> list[Found]:
    """Return what the detector finds in each test image, in pixels of the image as its source keeps it."""
    network.eval()
    count, lower, said = trial.sizes["test"], trial.precision != "float32", []
    with trial.track("find", count, "images") as advance:
        for one in trial.prepared("test", functools.partial(_detectron_images.whole, trial, recipe), np.arange(count)):
            with torch.autocast(trial.device.partition(":")[0], getattr(torch, trial.precision), enabled=lower):
                instances = network([one])[0]["instances"].to("cpu")
            said.append(_told_of(instances))
            advance(1)
    return said


def _told_of(instances: Any) -> Found:
    """Return detectron2's words for what it found."""
    drawn: tuple[bytes, ...] = ()
    if instances.has("pred_masks"):
        drawn = tuple(outlines.encode(mask) for mask in instances.pred_masks.numpy())
    return Found(
        instances.pred_boxes.tensor.double().numpy(),
        instances.pred_classes.long().numpy(),
        instances.scores.float().numpy(),
        drawn,
    )


def told(run: Run, recipe: Recipe, positions: base.IntArray, masks: bool) -> dict[str, Any]:
    """Return the recipe as it was resolved for this network and these images."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(recipe).items()}
    return plain | {
        "images": len(positions),
        "outlines": masks,
        "at_once": run.history.at_once,
        "trained_parameters": sum(p.numel() for group in run.groups for p in group.parameters),
        "precision": run.settings.precision,
    }
