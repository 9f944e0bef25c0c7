"""Recipes of detectors that are trained with their backbone, as published: numbers, and where each was read."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal


@dataclasses.dataclass(frozen=True)
class Recipe:
    """All that a recipe says besides the layers of its detector."""

    source: str
    """Files that the numbers were read in."""
    steps: int
    batch: int
    """Images per step, over all processes."""
    rate: float
    """Peak learning rate, for that batch."""
    milestones: tuple[float, ...]
    """Shares of the steps after each of which the rate is a tenth."""
    warmup: int
    """Steps in which the rate rises from a thousandth."""
    decay: float
    """Weight decay, of all but norms."""
    optimiser: Literal["adamw", "sgd"] = "sgd"
    momentum: float = 0.9
    """Of SGD."""
    decay_norms: bool = False
    """Whether norms and positions decay too."""
    layer_decay: float = 1.0
    """Factor of the rate from one layer of the backbone to the one below it."""
    drop_path: float = 0.0
    """Probability that the last block is left out for an image; it rises from 0 at the first block."""
    side: int = 0
    """Images are scaled to `scales` times a square of this side and cut to it; 0: their short side is one of
    `shorts`."""
    scales: tuple[float, float] = (0.1, 2.0)
    shorts: tuple[int, ...] = ()
    """Lengths of the short side in training, in pixels."""
    short: int = 800
    """Length of the short side in testing."""
    longest: int = 1333
    """Most that the long side may have; the short one is shorter then."""
    rois: int = 512
    """Proposals of an image that the second stage is trained on; of the first stage's anchors half as many."""
    proposals: int = 1000
    """Proposals of an image that the second stage looks at in testing."""
    anchor: int = 32
    """Side in pixels of the smallest anchors, which double four times."""
    precise: int = 0
    """Batches over which the statistics of batch normalisation are taken anew in the end."""


_SHORTS = (640, 672, 704, 736, 768, 800)
_MOCO = "facebookresearch/moco: detection/configs/"
_VOC_C4 = Recipe(
    source=f"{_MOCO}Base-RCNN-C4-BN.yaml, pascal_voc_R_50_C4_24k_moco.yaml",
    steps=24_000,
    batch=16,
    rate=0.02,
    milestones=(18 / 24, 22 / 24),
    warmup=100,
    decay=1e-4,
    shorts=(480, 512, 544, 576, 608, *_SHORTS),
    precise=200,
)
PUBLISHED: Mapping[str, Recipe] = {
    "vitdet": Recipe(
        source="facebookresearch/detectron2: projects/ViTDet/configs/COCO/mask_rcnn_vitdet_{b,l}_100ep.py, _h_75ep.py",
        steps=184_375,
        batch=64,
        rate=1e-4,
        milestones=(163_889 / 184_375, 177_546 / 184_375),
        warmup=250,
        decay=0.1,
        optimiser="adamw",
        layer_decay=0.7,
        drop_path=0.1,
        side=1024,
    ),
    "voc_c4": _VOC_C4,
    "coco_c4": dataclasses.replace(
        _VOC_C4,
        source=f"{_MOCO}Base-RCNN-C4-BN.yaml, coco_R_50_C4_2x_moco.yaml",
        steps=180_000,
        milestones=(12 / 18, 16 / 18),
        warmup=1000,
        shorts=_SHORTS,
    ),
    "coco_fpn": dataclasses.replace(
        _VOC_C4,
        source="WXinlong/DenseCL: benchmarks/detection/configs/Base-RCNN-FPN.yaml, R_50_FPN_1x.yaml",
        steps=90_000,
        milestones=(6 / 9, 8 / 9),
        warmup=1000,
        shorts=_SHORTS,
    ),
}
DEEPER: Mapping[str, tuple[tuple[int, Mapping[str, Any]], ...]] = {
    "vitdet": (
        (24, {"layer_decay": 0.8, "drop_path": 0.4}),
        (32, {"layer_decay": 0.9, "drop_path": 0.5, "decay_norms": True, "steps": 138_281}),
    )
}
"""What changes from a number of blocks on: 24 are a ViT-L's, 32 a ViT-H's. Changes add up."""


def recipe(name: str, depth: int = 12, **stated: Any) -> Recipe:
    """Return the recipe for a network of `depth` blocks, with `stated` values in place of its own."""
    found = PUBLISHED[name]
    for least, changes in DEEPER.get(name, ()):
        found = dataclasses.replace(found, **changes) if depth >= least else found
    return dataclasses.replace(found, **stated)
