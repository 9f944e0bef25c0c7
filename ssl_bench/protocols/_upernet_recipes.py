"""Recipes of fine-tuning with UPerNet as mmsegmentation's configurations publish them (https://github.com/
open-mmlab/mmsegmentation, 1.2.2). docs/dense.md tells where papers and codes differ.

Rates are absolute: those of 16 images a step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a recipe says; `docs/dense.md` tells where each number was read."""

    crop: int
    """Side in pixels of training crops and of windows of prediction, and the short side of test images."""
    rate: float
    layer_decay: float
    relative: bool
    """Whether a vision transformer without relative positions and layer scale is given them."""
    steps: int = 160_000
    batch: int = 16
    warmup: int = 1500
    """Updates, among `steps`, in which the rate rises; where fewer steps are given, as large a share of them."""
    decay: float = 0.05
    drop_path: float = 0.1
    channels: int = 0
    """Of the head; 0: the width of a plain transformer's maps, 512 for a network of stages."""

    @property
    def window_step(self) -> int:
        """Pixels between windows of prediction: 341 of 512, 426 of 640."""
        return max(1, self.crop * 2 // 3)


PUBLISHED: Mapping[str, Recipe] = {
    "mae": Recipe(crop=512, rate=1e-4, layer_decay=0.65, relative=True),
    "beit": Recipe(crop=640, rate=3e-5, layer_decay=0.9, relative=False),
}
LARGER: Mapping[str, Mapping[str, Any]] = {"beit": {"rate": 2e-5, "layer_decay": 0.95, "drop_path": 0.2}}
"""What changes from 13 blocks on; of MAE, mmsegmentation has a configuration for ViT-B alone."""


def recipe(name: str, depth: int = 12, **stated: Any) -> Recipe:
    """Return the recipe for a network of `depth` blocks, with `stated` values in place."""
    published = PUBLISHED[name]
    sized = dict(LARGER.get(name, {})) if depth > 12 else {}
    if stated.get("steps", published.steps) < published.steps:
        sized["warmup"] = round(published.warmup * stated["steps"] / published.steps)
    return dataclasses.replace(published, **{**sized, **stated})
