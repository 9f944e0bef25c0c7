"""Semantic segmentation by fine-tuning with UPerNet: the whole network is trained behind mmsegmentation's heads.

The recipes are `mae` (the default: MAE's ViT-B as in mmsegmentation and in implus/mae_segmentation) and `beit`. Every
number of a recipe can be given: `segmentation_upernet,crop=256,steps=400,batch=4,warmup=40`. The last step is what
is reported, by windows that overlap by a third, at the images' own sizes. docs/dense.md has all numbers, and where
papers and codes differ.

Needs mmsegmentation: pip install 'ssl-bench[mmseg]'. Expect 160,000 steps of 16 crops, forwards and backwards: days of
a GPU for ADE20K as published; minutes on a CPU for a small network, small crops and some hundred steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ssl_bench import distributed
from ssl_bench.errors import UsageError
from ssl_bench.protocols import base

if TYPE_CHECKING:
    from ssl_bench.protocols._upernet_recipes import Recipe

NEEDS = ("mmseg", "pip install 'ssl-bench[mmseg]'")
"""A package that must be importable, and how it is got."""
UNIT: Mapping[str, tuple[float, float]] = {
    "crop": (8, 1e4),
    "steps": (1, 1e9),
    "batch": (2, 1e6),
    "rate": (1e-12, 1e3),
    "decay": (0, 1e3),
    "warmup": (0, 1e9),
    "layer_decay": (1e-6, 1),
    "drop_path": (0, 0.99),
    "channels": (8, 1e5),
}
"""Least and largest value of each number."""


def _stated() -> Any:
    """A number of the recipe, where another is given; what is not given is no part of what was asked."""
    return dataclasses.field(default=None, metadata=base.LATER)


@dataclasses.dataclass(frozen=True)
class Protocol(base.Protocol):
    """Training of a network inside UPerNet. What a field means, and what it is in each recipe, stands in
    `_upernet_recipes`."""

    version: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]] = ("segmentation",)
    reads: ClassVar[tuple[str, ...]] = ("train", "test")

    recipe: Literal["mae", "beit"] = "mae"
    crop: int | None = _stated()
    steps: int | None = _stated()
    batch: int | None = _stated()
    rate: float | None = _stated()
    decay: float | None = _stated()
    warmup: int | None = _stated()
    layer_decay: float | None = _stated()
    drop_path: float | None = _stated()
    channels: int | None = _stated()
    relative: bool | None = _stated()

    def __post_init__(self) -> None:
        for name, (least, most) in UNIT.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UsageError(f"segmentation_upernet: {name} must be from {least:g} to {most:g}, not {value:g}")
        found = self.resolved()
        if found.warmup >= found.steps:
            raise UsageError(
                f"segmentation_upernet: a warm-up of {found.warmup} steps leaves nothing of {found.steps}; "
                "give warmup too"
            )

    def resolved(self, depth: int = 12) -> Recipe:
        """Return the recipe for a network of so many blocks, with the numbers that were given in place of its own."""
        from ssl_bench.protocols import _upernet_recipes

        names = [field.name for field in dataclasses.fields(_upernet_recipes.Recipe)]
        stated = {name: value for name in names if (value := getattr(self, name)) is not None}
        return _upernet_recipes.recipe(self.recipe, depth, **stated)

    def passes(self, sizes: Mapping[str, int]) -> base.Passes:
        """Return the crops of all steps, and the test images that the trained network sees."""
        found = self.resolved()
        return base.Passes({}, sizes["test"], trained=found.steps * found.batch)

    def check(self, labels: Mapping[str, base.IntArray], classes: int) -> None:
        """Raise MissingError where mmsegmentation is not installed."""
        from ssl_bench.heads import mmseg

        mmseg.library()

    def predict(self, trial: base.Trial) -> base.Answer:
        """Return a class for every pixel of every test image.

        Raises UsageError for a model without a network or without maps, where the recipe does not fit the network, and
        where the loss is no number; MissingError without mmsegmentation, or where two crops do not fit into memory.
        """
        from ssl_bench.protocols import _tuned, _upernet_run

        if trial.backbone is None or trial.backbone.network is None or trial.backbone.recalls:
            raise UsageError("segmentation_upernet trains a network, and this model has none that can be trained")
        self.check(trial.labels, trial.classes)
        recipe = self.resolved(_tuned.size_of(trial.backbone)[0])
        run = _upernet_run.run(trial, recipe)
        if distributed.rank():
            return self.uninformed(trial)  # which nobody reads: the first process looks at test
        return base.Answer(
            _upernet_run.said(run, trial, recipe),
            selected={"resolved": run.told(trial, recipe)},
            curve=run.curve(trial.sizes["train"]),
            cost=run.cost,
        )
