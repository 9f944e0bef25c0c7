"""Faster and Mask R-CNN by torchvision around a backbone of any kind: a pyramid, proposals, heads and losses.

Proposals and heads are those of torchvision.models.detection with its defaults, which are detectron2's of a feature
pyramid network: anchors of one size a level in three shapes, 1,000 proposals, two fully connected layers of 1,024 for
boxes, four convolutions as wide as the levels for masks of 28x28. The levels are the pyramid's four and one of half the
last one's size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN, MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead

from ssl_bench.backbones.base import Backbone
from ssl_bench.backbones.dense import Pyramid

SHAPES = (0.5, 1.0, 2.0)
"""Height over width of anchors."""


@dataclasses.dataclass(frozen=True, eq=False)
class Example:
    """An image and, in training, its objects."""

    image: Tensor  # (channels, height, width): normalised, and zero beyond `size`
    size: tuple[int, int]
    """Height and width of what it shows, from its upper left corner."""
    boxes: Tensor | None = None  # (objects, 4): left, top, right, bottom in pixels of `image`
    labels: Tensor | None = None  # (objects,): 0 … classes - 1
    masks: Tensor | None = None  # (objects, height, width): uint8, 1 inside


@dataclasses.dataclass(frozen=True, eq=False)
class Said:
    """What was found in an image, from the highest score down."""

    boxes: Tensor  # (objects, 4): in pixels of the image that was shown
    labels: Tensor  # (objects,): 0 … classes - 1
    scores: Tensor  # (objects,)
    masks: Tensor | None  # (objects, 1, 28, 28): the share of certainty that a place of the box is inside


class Detector(nn.Module):
    """Images and their objects to losses in training, and to what is found in them in eval mode.

    The backbone is no part of this module, as it is none of its pyramid. `anchor` is the side in pixels of the finest
    level's anchors, which double from level to level; `samples` are the boxes of an image that the second stage learns
    from, half as many those of the first.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        *,
        masks: bool = False,
        channels: int = 256,
        anchor: int = 32,
        samples: int = 512,
    ) -> None:
        super().__init__()
        self.pyramid = Pyramid(backbone, channels)
        anchors = AnchorGenerator(tuple((anchor << level,) for level in range(5)), (SHAPES,) * 5)
        whole = (MaskRCNN if masks else FasterRCNN)(
            _Width(channels),
            classes + 1,
            rpn_anchor_generator=anchors,
            rpn_head=RPNHead(channels, len(SHAPES)),
            rpn_batch_size_per_image=max(1, samples // 2),
            box_batch_size_per_image=samples,
        )
        self.proposals, self.heads = whole.rpn, whole.roi_heads
        if masks:
            self.heads.mask_head = MaskRCNNHeads(channels, (channels,) * 4, 1)
            self.heads.mask_predictor = MaskRCNNPredictor(channels, channels, classes + 1)

    def forward(self, examples: Sequence[Example]) -> Tensor | list[Said]:
        """Return the sum of all losses, each a mean over the images, or what is found in each."""
        device = next(self.parameters()).device
        images = torch.stack([one.image for one in examples]).to(device)
        levels = self.pyramid(images)
        levels["pool"] = functional.max_pool2d(levels["3"], 1, 2)
        targets = [_target(one, device) for one in examples] if self.training else None
        listed = ImageList(images, [one.size for one in examples])
        proposed, first = self.proposals(listed, levels, targets)
        found, second = self.heads(levels, proposed, listed.image_sizes, targets)
        if self.training:
            losses: Tensor = sum(first.values()) + sum(second.values())
            return losses
        return [Said(one["boxes"], one["labels"] - 1, one["scores"], one.get("masks")) for one in found]


class _Width(nn.Module):
    """Stands for a backbone where torchvision asks how wide its levels are."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels


def _target(one: Example, device: torch.device) -> dict[str, Tensor]:
    """Return an image's objects in torchvision's words, whose label 0 is no object."""
    assert one.boxes is not None
    assert one.labels is not None
    target = {"boxes": one.boxes.to(device), "labels": one.labels.to(device) + 1}
    return target if one.masks is None else target | {"masks": one.masks.to(device)}
