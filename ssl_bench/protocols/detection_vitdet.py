"""ViTDet: a plain vision transformer under a simple feature pyramid, trained whole as Faster or Mask R-CNN by
detectron2.

Li et al. 2022 (https://arxiv.org/abs/2203.16527), with the numbers of projects/ViTDet of
https://github.com/facebookresearch/detectron2: 100 epochs of COCO in batches of 64 squares of 1,024 pixels with large
scale jitter, AdamW with rates that fall from layer to layer. Rates, decay and drop path are those of ViT-B, ViT-L or
ViT-H, by the network's depth; every number can be given. Blocks are the network's own: see `backbones.windowed`.

`attention=own` leaves a network as it is, at one map of stride 16, for networks of any kind; without windows a large
image takes much memory. Outlines are learnt where the task's objects have them.

Expect 64 GPUs for the recipe as it is. A small run on a CPU: detection_vitdet,side=256,batch=4,steps=100,warmup=10.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from ssl_bench.errors import UsageError
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

    attention: Literal["windowed", "own"] = "windowed"
    """"own" leaves the network's attention, positions and patches as they are."""
    window: int = 14
    """Patches of a window's side, in all blocks but the last of each quarter; 0: all see the whole image."""
    side: int | None = _rcnn.stated()
    scales: tuple[float, ...] = _rcnn.stated(())
    layer_decay: float | None = _rcnn.stated()
    drop_path: float | None = _rcnn.stated()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolved().side % 32:
            raise UsageError(f"detection_vitdet: side={self.side} is no multiple of 32, which the pyramid needs")
        if self.window < 0:
            raise UsageError(f"detection_vitdet: window={self.window} is below 0")
        if self.scales and (len(self.scales) != 2 or not 0 < self.scales[0] <= self.scales[1]):
            raise UsageError("detection_vitdet: scales are two numbers, the least and the largest, above 0")

    @property
    def published(self) -> str:
        return "vitdet"

    def build(self, backbone: Backbone, recipe: Recipe, classes: int, *, masks: bool) -> nn.Module:
        """Return the detector; see `_rcnn.Detector`."""
        from ssl_bench.backbones import trunks, windowed
        from ssl_bench.heads import detectron
        from ssl_bench.protocols import _rcnn_run, _tuned

        network: Any = backbone.network
        if recipe.drop_path:
            _tuned.drop_paths(network, recipe.drop_path)
        if self.attention == "own":
            trunk: Any = trunks.OwnMap(backbone)
        elif windowed.fits(network):
            trunk = windowed.Trunk(network, recipe.side, self.window)
        else:
            raise UsageError(
                f"{type(network).__name__} is no vision transformer whose attention could be given windows: ask for "
                "detection_fpn where it has stages, or for detection_vitdet,attention=own, which leaves it as it is"
            )
        _rcnn_run.trained(trunk, network, backbone.input)
        pyramid = detectron.simple_pyramid(trunk, trunk.width, recipe.side)
        sizes = {"rois": recipe.rois, "proposals": recipe.proposals, "anchor": recipe.anchor}
        return detectron.rcnn(pyramid, classes, masks=masks, norm="LN", convolutions=2, **sizes)
