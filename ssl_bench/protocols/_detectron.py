"""What the protocols have in common that train a detector of detectron2 together with the backbone in it.

Objects are learnt from train; the last step is reported. Val and test choose nothing.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ssl_bench import distributed
from ssl_bench.errors import UsageError
from ssl_bench.protocols import _detectron_recipes, base
from ssl_bench.protocols._detectron_recipes import Recipe

if TYPE_CHECKING:
    from torch import nn

    from ssl_bench.backbones.base import Backbone

LEAST: Mapping[str, float] = {
    "steps": 1,
    "batch": 1,
    "warmup": 0,
    "rate": 1e-12,
    "decay": 0,
    "layer_decay": 1e-6,
    "drop_path": 0,
    "side": 32,
    "short": 32,
    "longest": 32,
    "shorts": 32,
    "rois": 2,
    "proposals": 1,
    "anchor": 1,
    "precise": 0,
}
"""Least value of each number."""


def stated(default: Any = None) -> Any:
    """A number of the recipe, where another is given; what is not given is no part of what was asked."""
    return dataclasses.field(default=default, metadata=base.LATER)


@dataclasses.dataclass(frozen=True)
class Detector(base.Protocol):
    """Training of a detector. What a field means, and what it is in each recipe, stands in `_detectron_recipes`."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("detection",)
    reads: ClassVar[tuple[str, ...]] = ("train", "test")

    steps: int | None = stated()
    batch: int | None = stated()
    rate: float | None = stated()
    decay: float | None = stated()
    warmup: int | None = stated()
    rois: int | None = stated()
    proposals: int | None = stated()
    anchor: int | None = stated()

    def __post_init__(self) -> None:
        for name, least in LEAST.items():
            value = getattr(self, name, None)
            for one in value if isinstance(value, tuple) else [value]:
                if one is not None and one < least:
                    raise UsageError(f"{name} must be at least {least:g}, not {one:g}")
        if self.resolved().warmup >= self.resolved().steps:
            raise UsageError(
                f"a warm-up of {self.resolved().warmup} steps leaves nothing of {self.resolved().steps} steps; "
                "give warmup= too"
            )

    @property
    @abc.abstractmethod
    def published(self) -> str:
        """Name of the recipe in `_detectron_recipes`."""

    def resolved(self, depth: int = 12) -> Recipe:
        """Return the recipe for a network of `depth` blocks, with the values that are given."""
        names = [field.name for field in dataclasses.fields(Recipe)]
        given = {name: getattr(self, name) for name in names if getattr(self, name, None) not in (None, ())}
        return _detectron_recipes.recipe(self.published, depth, **given)

    @abc.abstractmethod
    def build(self, backbone: Backbone, recipe: Recipe, classes: int, *, masks: bool) -> nn.Module:
        """Return the detector around a backbone of its own, on the CPU; `masks`: it draws outlines too.

        Raises UsageError for a network that does not fit.
        """

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the images of every step, and those of test."""
        recipe = self.resolved()
        return base.Passes({}, sizes["test"] + recipe.precise * recipe.batch, trained=recipe.steps * recipe.batch)

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return up to 100 objects of each test image, with outlines where those of train have them.

        Raises MissingError without detectron2, UsageError for a model without a network or one that does not fit, and
        where the loss is no number; DataError where train shows no object.
        """
        from ssl_bench.heads import detectron
        from ssl_bench.predictions import Detections
        from ssl_bench.protocols import _detectron_images, _detectron_run, _tuned

        detectron.library()
        if trial.backbone is None or trial.backbone.network is None or trial.backbone.recalls:
            raise UsageError("a detector is trained with its network, and this model has none that can be trained")
        recipe = self.resolved(_tuned.size_of(trial.backbone)[0])
        shown, masks = _detectron_images.shown(trial)
        own = copy.deepcopy(trial.backbone)
        assert own.network is not None
        own.network.cpu()
        detector = _detectron_run.seeded(lambda: self.build(own, recipe, trial.classes, masks=masks), trial)
        groups = _detectron_run.groups_of(detector, own.network, recipe)
        run = _detectron_run.train(detector, groups, trial, recipe, shown, masks)
        if distributed.rank():
            return base.Answer(Detections([]))  # which nobody reads: the first process looks at test
        return base.Answer(
            Detections(_detectron_run.found(detector, trial, recipe), outlined=masks),
            selected={"resolved": _detectron_run.told(run, recipe, shown, masks)},
            curve=run.history.curve(),
            cost=run.history.cost(run.settings.batch),
        )
