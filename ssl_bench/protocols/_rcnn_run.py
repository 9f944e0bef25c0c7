"""One run of a detector for a trial: its images and their objects in the order of its seed, its steps, what it finds."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ssl_bench import distributed, outlines
from ssl_bench.backbones.base import build_seeded
from ssl_bench.errors import DataError
from ssl_bench.files import digest_json
from ssl_bench.heads import detectron
from ssl_bench.images import InputSpec, normalise
from ssl_bench.predictions import Found
from ssl_bench.protocols import _tuned, base
from ssl_bench.protocols._rcnn_recipes import Recipe
from ssl_bench.targets import Objects
from ssl_bench.training import Group, History, Settings
from ssl_bench.training import train as training

AHEAD = 4096
"""Images whose order is laid out at once."""
POINTS = 20
"""Rows of the curve, at most."""
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
Input = dict[str, Any]
"""What detectron2 wants of an image: its pixels, in training its objects, in testing its own height and width."""


def shown(trial: base.Trial) -> tuple[base.IntArray, bool]:
    """Return the positions in train of images with objects to learn from, and whether all objects have outlines.

    Crowds are none. As detectron2, which leaves images without any out. Raises DataError where there are none.
    """
    kept, outlined = [], True
    for position in range(trial.sizes["train"]):
        true: Objects = trial.targets["train"][position]
        if (~true.crowd).any():
            kept.append(position)
            outlined &= len(true.outlines) == len(true.boxes)
    if not kept:
        raise DataError("the images of train show no object to learn from")
    return np.array(kept, dtype=np.int64), outlined


def seeded(build: Callable[[], nn.Module], trial: base.Trial) -> nn.Module:
    """Return what `build` makes, its heads drawn by the trial's seed, on the device."""
    network = build_seeded(build, trial.seed)
    if distributed.world() > 1 and trial.device.startswith("cuda"):
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return network.to(trial.device)


def drop(network: nn.Module, rate: float) -> None:
    """Let blocks be left out at random in training, where the network has a place for that."""
    _tuned.drop_paths(network, rate)


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

    @property
    def cost(self) -> dict[str, float]:
        """What the run took, for the record."""
        return {
            "images_trained": len(self.history.losses) * self.settings.batch,
            "train_seconds": round(self.history.seconds, 3),
            "trained_per_second": round(self.history.images_per_second(self.settings.batch), 2),
        }

    @property
    def curve(self) -> tuple[dict[str, Any], ...]:
        """The course of the run in rows: the mean loss since the row before, and the rate."""
        losses, rows = self.history.losses, []
        ends = sorted({round(len(losses) * (part + 1) / POINTS) for part in range(POINTS)} - {0})
        for start, end in zip([0, *ends], ends, strict=False):
            loss, rate = float(np.mean(losses[start:end])), self.history.rates[end - 1]
            rows.append({"step": end, "train_loss": float(f"{loss:.6g}"), "rate": float(f"{rate:.6g}")})
        return tuple(rows)


def train(
    detector: nn.Module,
    groups: Sequence[Group],
    trial: base.Trial,
    recipe: Recipe,
    positions: base.IntArray,
    masks: bool,
) -> Run:
    """Train the detector in place on the images of train at these positions."""
    inputs, settings = Inputs(trial, positions, recipe, masks), settings_of(recipe, trial.precision)
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


@dataclasses.dataclass(frozen=True, eq=False)
class Inputs:
    """The training images of a run, step by step: `training.Batches` of detectron2's inputs.

    All images pass in one permutation after the other, batches reaching over their ends.
    """

    trial: base.Trial
    positions: base.IntArray
    recipe: Recipe
    masks: bool

    def __call__(self, first: int, places: Sequence[int], size: int) -> Iterator[tuple[Any, Any]]:
        """Give the parts of each step from `first` on; see `training.Batches`."""
        where = np.asarray(places, dtype=np.int64)
        block = max(1, AHEAD // len(where))
        while True:
            end = max(first + 1, min(first + block, self.recipe.steps))  # nothing after the last step is decoded ahead
            numbers = np.concatenate([step * self.recipe.batch + where for step in range(first, end)])
            made = self.trial.prepared("train", self.example, self.drawn(numbers), numbers)
            for _ in range(first, end):
                for start in range(0, len(where), size):
                    part = [next(made) for _ in where[start : start + size]]
                    yield part, part
            first = end

    def drawn(self, numbers: base.IntArray) -> base.IntArray:
        """Return which image of train has each of these numbers, counted from the first step on."""
        epochs, within = np.divmod(numbers, len(self.positions))
        orders = {
            epoch: np.random.default_rng([self.trial.seed, epoch]).permutation(self.positions)
            for epoch in set(epochs.tolist())
        }
        return np.array([orders[epoch][place] for epoch, place in zip(epochs.tolist(), within.tolist(), strict=True)])

    def example(self, image: NDArray[np.uint8], true: Objects, generator: np.random.Generator) -> Input:
        """Return an image, changed at random, and its objects."""
        from detectron2.data import detection_utils

        assert self.trial.backbone is not None
        changes = _random(image.shape[:2], self.recipe, generator)
        seen = _seen(changes.apply_image(image), self.trial.backbone.input)
        size = (seen.shape[1], seen.shape[2])
        objects = [
            detection_utils.transform_instance_annotations(one, changes, size) for one in _listed(true, self.masks)
        ]
        instances = detection_utils.annotations_to_instances(objects, size, mask_format="bitmask")
        if self.masks and self.recipe.side and len(objects):
            instances.gt_boxes = instances.gt_masks.get_bounding_boxes()  # of what the crop leaves of an outline
        return {"image": seen, "instances": detection_utils.filter_empty_instances(instances)}


def _listed(true: Objects, masks: bool) -> list[dict[str, Any]]:
    """Return the objects of an image in detectron2's words, without crowds."""
    from detectron2.structures import BoxMode

    found = []
    for number in np.flatnonzero(~true.crowd):
        one = {"bbox": true.boxes[number], "bbox_mode": BoxMode.XYXY_ABS, "category_id": int(true.labels[number])}
        if masks:
            one["segmentation"] = {"counts": true.outlines[number], "size": list(true.size)}
        found.append(one)
    return found


def _random(size: tuple[int, int], recipe: Recipe, generator: np.random.Generator) -> Any:
    """Return how an image of this height and width is changed: scaled, cut where it is larger, flipped or not.

    As ResizeScale and FixedSizeCrop, or as ResizeShortestEdge, with RandomFlip, of detectron2 (data/transforms), whose
    draws come from NumPy's common generator.
    """
    from detectron2.data import transforms

    flips = generator.random() < 0.5
    if recipe.side:
        share = float(generator.uniform(*recipe.scales)) * recipe.side / max(size)
        scaled = (max(1, round(size[0] * share)), max(1, round(size[1] * share)))
    else:
        scaled = _short(size, int(generator.choice(recipe.shorts)), recipe.longest)
    parts: list[Any] = [transforms.ResizeTransform(*size, *scaled, interp=2)]  # Pillow's number for bilinear
    if recipe.side:
        top, left = (round(max(side - recipe.side, 0) * float(generator.random())) for side in scaled)
        cut = (min(scaled[1], recipe.side), min(scaled[0], recipe.side))
        parts.append(transforms.CropTransform(left, top, *cut, scaled[1], scaled[0]))
        scaled = (cut[1], cut[0])
    if flips:
        parts.append(transforms.HFlipTransform(scaled[1]))
    return transforms.TransformList(parts)


def _short(size: tuple[int, int], short: int, longest: int) -> tuple[int, int]:
    """Return height and width scaled to this short side, or to the longest that the long side may be."""
    share = min(short / min(size), longest / max(size))
    return max(1, int(size[0] * share + 0.5)), max(1, int(size[1] * share + 0.5))


def _seen(image: NDArray[np.uint8], spec: InputSpec) -> Tensor:
    """Return pixels (height, width, 3) or (height, width) normalised: (channels, height, width)."""
    array = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    return normalise(torch.from_numpy(np.ascontiguousarray(array))[None], spec)[0]


def _count_anew(network: nn.Module, inputs: Inputs, recipe: Recipe, size: int) -> None:
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
    assert trial.backbone is not None
    spec = trial.backbone.input
    short, longest = (recipe.side, recipe.side) if recipe.side else (recipe.short, recipe.longest)

    def prepare(image: NDArray[np.uint8], _true: None, _generator: np.random.Generator) -> Input:
        from detectron2.data.transforms import ResizeTransform

        size = (image.shape[0], image.shape[1])
        resized = ResizeTransform(*size, *_short(size, short, longest), interp=2).apply_image(image)
        return {"image": _seen(resized, spec), "height": size[0], "width": size[1]}

    count, lower, said = trial.sizes["test"], trial.precision != "float32", []
    with trial.track("find", count, "images") as advance:
        for one in trial.prepared("test", prepare, np.arange(count)):
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
