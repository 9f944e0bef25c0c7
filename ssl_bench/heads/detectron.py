"""Faster and Mask R-CNN by detectron2: its pyramids, proposals, heads and losses around a network of any kind.

Numbers are those of `configs/common/models/mask_rcnn_{fpn,vitdet}.py` and `configs/Base-RCNN-C4.yaml` in
https://github.com/facebookresearch/detectron2, of `detection/configs` in https://github.com/facebookresearch/moco and
of `benchmarks/detection/configs` in https://github.com/WXinlong/DenseCL. What differs between recipes is asked for.
"""

from __future__ import annotations

import functools
import importlib
import logging
import math
import sys
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.errors import MissingError

INSTALL = (
    "pip install wheel ninja && "
    "pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2.git'"
)
"""It is on no package index."""
DOUBLINGS = (1, 2, 4, 8, 16)
"""Times the smallest anchor's side: of the levels from the finest to the coarsest, or all of the one level."""
RATIOS = (0.5, 1.0, 2.0)
"""Height over width of anchors."""
CHANNELS = 256
"""Of the levels of a pyramid, and of convolutions in heads."""
BOX_WEIGHTS = (10.0, 10.0, 5.0, 5.0)
"""Of the offsets of a box in the second stage."""


@functools.cache
def library() -> Any:
    """Return the package detectron2; raise MissingError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.import_module("detectron2.modeling")
    except ImportError as error:
        raise MissingError(
            f"this recipe needs detectron2, which is not installed. It is built from its source: {INSTALL}"
        ) from error
    warnings.filterwarnings("ignore", "torch.meshgrid", UserWarning)  # which it calls as torch's first versions had it
    logging.getLogger("torch.fx._symbolic_trace").setLevel(logging.ERROR)
    return sys.modules["detectron2"]


def simple_pyramid(trunk: nn.Module, width: int, side: int) -> Any:
    """Return ViTDet's pyramid p2 to p6 over one map of stride 16; images are padded to squares of `side` pixels.

    `trunk` makes a map (images, width, rows, columns) of normalised images.
    """
    library()
    from detectron2.modeling import SimpleFeaturePyramid
    from detectron2.modeling.backbone.fpn import LastLevelMaxPool

    return SimpleFeaturePyramid(
        net=_bottom(trunk, {"last": (width, 16)}),
        in_feature="last",
        out_channels=CHANNELS,
        scale_factors=(4.0, 2.0, 1.0, 0.5),
        top_block=LastLevelMaxPool(),
        norm="LN",
        square_pad=side,
    )


def pyramid(stages: nn.Module, widths: Sequence[int], norm: str) -> Any:
    """Return the pyramid p2 to p6 over four maps of the strides 4, 8, 16 and 32, which `stages` makes of images."""
    library()
    from detectron2.modeling import FPN
    from detectron2.modeling.backbone.fpn import LastLevelMaxPool

    shapes = {f"res{level}": (width, 2**level) for level, width in enumerate(widths, start=2)}
    return FPN(_bottom(stages, shapes), list(shapes), CHANNELS, norm=norm, top_block=LastLevelMaxPool())


def rcnn(
    backbone: Any,
    classes: int,
    *,
    masks: bool,
    norm: str,
    convolutions: int,
    rois: int,
    proposals: int,
    anchor: int,
) -> nn.Module:
    """Return the detector over a pyramid: 4 convolutions and 1 linear layer for boxes, 4 convolutions for outlines.

    `norm` is that of the heads, "LN" or "BN"; `convolutions` are those of the proposals' head, 2 in ViTDet's and else
    1; `rois` are the `proposals` of an image that the second stage is trained on, and half as many anchors the first;
    `anchor` is the side of the smallest in pixels.
    """
    library()
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.roi_heads import FastRCNNConvFCHead, MaskRCNNConvUpsampleHead, StandardROIHeads

    levels = ["p2", "p3", "p4", "p5"]
    boxes = FastRCNNConvFCHead(
        ShapeSpec(channels=CHANNELS, height=7, width=7), conv_dims=[CHANNELS] * 4, fc_dims=[1024], conv_norm=norm
    )
    outlines: dict[str, Any] = {}
    if masks:
        outlines["mask_in_features"], outlines["mask_pooler"] = levels, _pooler(14, backbone, levels)
        outlines["mask_head"] = MaskRCNNConvUpsampleHead(
            ShapeSpec(channels=CHANNELS, height=14, width=14),
            num_classes=classes,
            conv_dims=[CHANNELS] * 5,
            conv_norm=norm,
        )
    heads = StandardROIHeads(
        box_in_features=levels,
        box_pooler=_pooler(7, backbone, levels),
        box_head=boxes,
        box_predictor=_boxes(ShapeSpec(channels=1024), classes),
        **outlines,
        **_sampled(classes, rois),
    )
    sides = [[anchor * times] for times in DOUBLINGS]
    many = (proposals, proposals)
    first = _proposals(backbone, [*levels, "p6"], sides, convolutions, (2000, 1000), many, rois)
    return _whole(backbone, first, heads)


def rcnn_c4(
    lower: nn.Module,
    upper: nn.Module,
    widths: tuple[int, int],
    stride: int,
    classes: int,
    *,
    masks: bool,
    rois: int,
    proposals: int,
    anchor: int,
) -> nn.Module:
    """Return the detector whose second stage is the network's own last stage, with MoCo's extra normalisation behind.

    `lower` makes a map (images, widths[0], rows, columns) of this stride, `upper` a part of it (parts, widths[1], …).
    """
    library()
    from detectron2.layers import ShapeSpec
    from detectron2.modeling.roi_heads import MaskRCNNConvUpsampleHead, Res5ROIHeads

    backbone = _bottom(lower, {"res4": (widths[0], stride)})
    outlines: dict[str, Any] = {}
    if masks:
        shape = ShapeSpec(channels=widths[1], height=14, width=14)
        outlines["mask_head"] = MaskRCNNConvUpsampleHead(shape, num_classes=classes, conv_dims=[CHANNELS])
    heads = Res5ROIHeads(
        in_features=["res4"],
        pooler=_pooler(14, backbone, ["res4"]),
        res5=nn.Sequential(upper, nn.BatchNorm2d(widths[1])),
        box_predictor=_boxes(ShapeSpec(channels=widths[1], height=1, width=1), classes),
        **outlines,
        **_sampled(classes, rois),
    )
    sides = [[anchor * times for times in DOUBLINGS]]
    first = _proposals(backbone, ["res4"], sides, 1, (12000, 6000), (2 * proposals, proposals), rois)
    return _whole(backbone, first, heads)


def _bottom(network: nn.Module, shapes: Mapping[str, tuple[int, int]]) -> Any:
    """Return a module that makes maps, one or several, as detectron2's backbone; shapes are width and stride."""
    from detectron2.modeling import Backbone

    class Bottom(Backbone):  # type: ignore[misc]
        """Normalised images to named maps."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network
            self._out_features = list(shapes)
            self._out_feature_channels = {name: width for name, (width, _) in shapes.items()}
            self._out_feature_strides = {name: stride for name, (_, stride) in shapes.items()}

        def forward(self, images: Tensor) -> dict[str, Tensor]:
            found = self.network(images)
            return dict(zip(self._out_features, [found] if isinstance(found, Tensor) else found, strict=True))

    return Bottom()


def _proposals(
    backbone: Any,
    levels: Sequence[str],
    sides: Sequence[Sequence[int]],
    convolutions: int,
    before: tuple[int, int],
    after: tuple[int, int],
    rois: int,
) -> Any:
    """Return the first stage; `before` and `after` its suppression so many stay in training and in testing."""
    from detectron2.modeling.anchor_generator import DefaultAnchorGenerator
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.matcher import Matcher
    from detectron2.modeling.proposal_generator import RPN, StandardRPNHead

    shapes = backbone.output_shape()
    anchors = DefaultAnchorGenerator(
        sizes=[list(row) for row in sides],
        aspect_ratios=[list(RATIOS)],
        strides=[shapes[level].stride for level in levels],
        offset=0.0,
    )
    return RPN(
        in_features=list(levels),
        head=StandardRPNHead(
            in_channels=shapes[levels[0]].channels,
            num_anchors=anchors.num_anchors[0],
            conv_dims=[-1] * convolutions,
        ),
        anchor_generator=anchors,
        anchor_matcher=Matcher(thresholds=[0.3, 0.7], labels=[0, -1, 1], allow_low_quality_matches=True),
        box2box_transform=Box2BoxTransform(weights=(1.0, 1.0, 1.0, 1.0)),
        batch_size_per_image=math.ceil(rois / 2),
        positive_fraction=0.5,
        pre_nms_topk=before,
        post_nms_topk=after,
        nms_thresh=0.7,
    )


def _boxes(shape: Any, classes: int) -> Any:
    """Return the layers that name a class and move the box; 100 boxes of a score of 0.05 or more stay."""
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.roi_heads import FastRCNNOutputLayers

    move = Box2BoxTransform(weights=BOX_WEIGHTS)
    return FastRCNNOutputLayers(shape, box2box_transform=move, num_classes=classes, test_score_thresh=0.05)


def _pooler(side: int, backbone: Any, levels: Sequence[str]) -> Any:
    from detectron2.modeling.poolers import ROIPooler

    shapes = backbone.output_shape()
    scales = tuple(1.0 / shapes[level].stride for level in levels)
    return ROIPooler(output_size=side, scales=scales, sampling_ratio=0, pooler_type="ROIAlignV2")


def _sampled(classes: int, rois: int) -> dict[str, Any]:
    """Return how the second stage picks what it is trained on."""
    from detectron2.modeling.matcher import Matcher

    matcher = Matcher(thresholds=[0.5], labels=[0, 1], allow_low_quality_matches=False)
    return {
        "num_classes": classes,
        "batch_size_per_image": rois,
        "positive_fraction": 0.25,
        "proposal_matcher": matcher,
    }


def _whole(backbone: Any, proposals: Any, heads: Any) -> nn.Module:
    """Return the detector; its images come normalised already, by the model's own rule."""
    from detectron2.modeling import GeneralizedRCNN

    found: nn.Module = GeneralizedRCNN(
        backbone=backbone, proposal_generator=proposals, roi_heads=heads, pixel_mean=[0.0], pixel_std=[1.0]
    )
    return found


class Losses(nn.Module):
    """A detector as the training loop wants one: inputs to the sum of its losses, a mean over their images."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, inputs: Sequence[Mapping[str, Any]]) -> Tensor:
        from detectron2.utils.events import EventStorage

        with EventStorage():
            losses: dict[str, Tensor] = self.detector(inputs)
        return torch.stack([loss.float() for loss in losses.values()]).sum()
