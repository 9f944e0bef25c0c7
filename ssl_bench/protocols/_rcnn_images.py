"""Images and their objects as detectron2's detectors want them: changed at random in training, whole in testing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ssl_bench.errors import DataError
from ssl_bench.images import InputSpec, normalise
from ssl_bench.protocols import base
from ssl_bench.protocols._rcnn_recipes import Recipe
from ssl_bench.targets import Objects

AHEAD = 4096
"""Images whose order is laid out at once."""
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
    return normalise(torch.from_numpy(np.array(array, order="C"))[None], spec)[0]


def whole(
    trial: base.Trial, recipe: Recipe, image: NDArray[np.uint8], _true: None, _generator: np.random.Generator
) -> Input:
    """Return a test image."""
    from detectron2.data.transforms import ResizeTransform

    assert trial.backbone is not None
    short, longest = (recipe.side, recipe.side) if recipe.side else (recipe.short, recipe.longest)
    size = (image.shape[0], image.shape[1])
    resized = ResizeTransform(*size, *_short(size, short, longest), interp=2).apply_image(image)
    return {"image": _seen(resized, trial.backbone.input), "height": size[0], "width": size[1]}
