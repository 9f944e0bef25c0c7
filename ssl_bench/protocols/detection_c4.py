"""Faster or Mask R-CNN on a ResNet whose last stage looks at proposals (C4), trained whole by detectron2.

The recipes are MoCo's (detection of https://github.com/facebookresearch/moco): `voc`, 24,000 steps on VOC 2007 and 2012
for the test images of 2007, and `coco`, 2x. Batch normalisation is trained, over the whole batch, stands once more
behind the last stage, and is counted anew in the end. Outlines are learnt where the task's objects have them.

Expect 8 GPUs for the recipes as they are; batches of another size give other figures (44.8 instead of 56.7 AP with 8
images: WXinlong/DenseCL#6). A small run on a CPU: detection_c4,steps=100,warmup=10,batch=2,short=256.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

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

    recipe: Literal["voc", "coco"] = "voc"
    shorts: tuple[int, ...] = _rcnn.stated(())
    short: int | None = _rcnn.stated()
    longest: int | None = _rcnn.stated()
    precise: int | None = _rcnn.stated()

    @property
    def published(self) -> str:
        return f"{self.recipe}_c4"

    def build(self, backbone: Backbone, recipe: Recipe, classes: int, *, masks: bool) -> nn.Module:
        """Return the detector; see `_rcnn.Detector`."""
        from ssl_bench.backbones import trunks
        from ssl_bench.heads import detectron
        from ssl_bench.protocols import _rcnn_run

        trunk = trunks.Cut(backbone)
        _rcnn_run.trained(trunk, trunk, backbone.input)
        upper = trunk.upper[0].requires_grad_(True)
        sizes = {"rois": recipe.rois, "proposals": recipe.proposals, "anchor": recipe.anchor}
        return detectron.rcnn_c4(trunk, upper, trunk.widths, trunk.stride, classes, masks=masks, **sizes)
