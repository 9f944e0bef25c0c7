"""Faster or Mask R-CNN on the four stages of a network under a feature pyramid, trained whole by detectron2.

The recipe is DenseCL's of COCO, 1x, which others of self-supervised convolutional networks share
(benchmarks/detection of https://github.com/WXinlong/DenseCL): batch normalisation everywhere and trained, over the
whole batch, 90,000 steps of 16 images. Outlines are learnt where the task's objects have them.

Expect 8 GPUs for the recipe as it is. A small run on a CPU: detection_fpn,steps=100,warmup=10,batch=4,short=256.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ssl_bench.protocols import _rcnn
from ssl_bench.protocols._rcnn_recipes import Recipe

if TYPE_CHECKING:
    from torch import nn

    from ssl_bench.backbones.base import Backbone

NEEDS = (
    "detectron2",
    "pip install wheel ninja && "
    "pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'",
)


@dataclasses.dataclass(frozen=True)
class Protocol(_rcnn.Detector):
    """Training of the detector."""

    shorts: tuple[int, ...] = _rcnn.stated(())
    short: int | None = _rcnn.stated()
    longest: int | None = _rcnn.stated()
    precise: int | None = _rcnn.stated()

    @property
    def published(self) -> str:
        return "coco_fpn"

    def build(self, backbone: Backbone, recipe: Recipe, classes: int, *, masks: bool) -> nn.Module:
        """Return the detector; see `_rcnn.Detector`."""
        from ssl_bench.backbones import trunks
        from ssl_bench.heads import detectron
        from ssl_bench.protocols import _rcnn_run

        trunk = trunks.Staged(backbone)
        _rcnn_run.trained(trunk, trunk.network, backbone.input)
        pyramid = detectron.pyramid(trunk, trunk.widths, "BN")
        sizes = {"rois": recipe.rois, "proposals": recipe.proposals, "anchor": recipe.anchor}
        return detectron.rcnn(pyramid, classes, masks=masks, norm="BN", convolutions=1, **sizes)
