"""UPerNet by mmsegmentation: its neck, heads, losses and sliding prediction around a network of any kind.

Numbers are those of its configurations `mae/mae-base_upernet_8xb2-amp-160k_ade20k-512x512.py` and
`beit/beit-base_upernet_8xb2-160k_ade20k-640x640.py` (https://github.com/open-mmlab/mmsegmentation, 1.2.2). It runs on
mmcv-lite, which nothing of it needs to be compiled for; see `_operators`.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.errors import MissingError, missing_package
from ssl_bench.targets import VOID

AUXILIARY = 256
"""Channels of the auxiliary head."""
RESCALES = (4, 2, 1, 0.5)
"""What the neck makes of four maps of one size."""


@functools.cache
def library() -> Any:
    """Return the package mmseg with its models registered; raise MissingError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if importlib.util.find_spec("mmcv") is not None and importlib.util.find_spec("mmcv._ext") is None:
                _import_with_stand_in()
            importlib.import_module("mmseg.models")
            _register()
    except (ImportError, AssertionError) as error:  # it asserts that versions fit
        raise missing_package("mmsegmentation", "mmseg", "UPerNet") from error
    return sys.modules["mmseg"]


def _import_with_stand_in() -> None:
    """Import mmseg's models while `mmcv.ops` is ours, since mmcv-lite's own fails; nobody else comes to see that."""
    from ssl_bench.heads import _operators

    sys.modules["mmcv.ops"] = _operators
    try:
        importlib.import_module("mmseg.models")
    finally:
        del sys.modules["mmcv.ops"]


def _register() -> None:
    """Make any module that gives maps known to mmsegmentation as a backbone, by the name `SslBench`."""
    from mmengine.model import BaseModule
    from mmseg.registry import MODELS

    class SslBench(BaseModule):  # type: ignore[misc]
        """Normalised images to maps, by a network that has its weights."""

        def __init__(self, network: nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> tuple[Tensor, ...]:
            return tuple(self.network(images))

        def init_weights(self) -> None:
            """Keep what was learnt, which mmsegmentation would have the network draw anew."""

    MODELS.register_module(module=SslBench, force=True)


class Segmentor(nn.Module):
    """Normalised images to what the two heads say of them, (images, classes, height, width) of the finest map."""

    def __init__(
        self,
        network: nn.Module,
        widths: Sequence[int],
        classes: int,
        *,
        channels: int,
        plain: bool,
        window: int,
        window_step: int,
        synchronised: bool = False,
    ) -> None:
        """Build around `network`, which gives maps of these widths, fine before coarse.

        `plain` says that they are all of one size, so that the neck comes between; windows of prediction have a side of
        `window` pixels, and there is one every `window_step`. Batch normalisation is over all processes where it is
        `synchronised`.
        """
        super().__init__()
        library()
        from mmengine.config import ConfigDict
        from mmengine.model import initialize
        from mmseg.registry import MODELS

        norm = {"type": "SyncBN" if synchronised else "BN", "requires_grad": True}
        neck = {"type": "Feature2Pyramid", "embed_dim": widths[0], "rescales": list(RESCALES), "norm_cfg": norm}
        sliding = {"mode": "slide", "crop_size": (window, window), "stride": (window_step, window_step)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of options that the published configurations leave as they are
            self.model: Any = MODELS.build(
                {
                    "type": "EncoderDecoder",
                    "backbone": {"type": "SslBench", "network": network},
                    **({"neck": neck} if plain else {}),
                    "decode_head": _decoder(widths, classes, channels, norm),
                    "auxiliary_head": _auxiliary(widths, classes, norm),
                    "test_cfg": ConfigDict(sliding),
                }
            )
        for head in (self.model.decode_head, self.model.auxiliary_head):
            initialize(head, head.init_cfg)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        if self.training and len(images) == 1:
            raise MissingError(
                "UPerNet's batch normalisation needs two images at once: give an even batch, or, where two images do "
                "not fit into memory, a smaller crop"
            )
        maps = self.model.extract_feat(images)
        return self.model.decode_head(maps), self.model.auxiliary_head(maps)

    def loss(self, said: tuple[Tensor, Tensor], masks: Tensor) -> Tensor:
        """Return the sum over the images of mmsegmentation's loss, for masks (images, height, width), int64.

        It is the mean over all pixels, those of `targets.VOID` counted with 0, and 0.4 of it for the auxiliary head.
        """
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in masks]
        heads = (self.model.decode_head, self.model.auxiliary_head)
        whole = [part.float() if part.dtype in (torch.float16, torch.bfloat16) else part for part in said]
        losses = [head.loss_by_feat(part, samples)["loss_ce"] for head, part in zip(heads, whole, strict=True)]
        return len(masks) * torch.stack(losses).sum()

    @torch.no_grad()
    def predict(self, images: Tensor, inside: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Return the class of every pixel (height, width) of one image, int64, by overlapping windows.

        `images` is (1, channels, height, width), at least a window high and wide, of which `inside`, from the upper
        left corner, is the image and the rest padding; `size` is height and width of the image as its source keeps it.
        """
        from mmseg.structures import SegDataSample

        height, width = images.shape[2:]
        padding = [0, width - inside[1], 0, height - inside[0]]
        sample = SegDataSample(
            metainfo={
                "ori_shape": size,
                "img_shape": (height, width),
                "pad_shape": (height, width),
                "padding_size": padding,
            }
        )
        (found,) = self.model.predict(images, [sample])
        labels: Tensor = found.pred_sem_seg.data[0]
        return labels


def _decoder(widths: Sequence[int], classes: int, channels: int, norm: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "UPerHead",
        "in_channels": list(widths),
        "in_index": list(range(len(widths))),
        "pool_scales": (1, 2, 3, 6),
        "channels": channels,
        "dropout_ratio": 0.1,
        "num_classes": classes,
        "norm_cfg": norm,
        "align_corners": False,
        "ignore_index": VOID,
        "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 1.0},
    }


def _auxiliary(widths: Sequence[int], classes: int, norm: dict[str, Any]) -> dict[str, Any]:
    """Return the head on the map before the coarsest, whose loss counts 0.4."""
    index = max(0, len(widths) - 2)
    return {
        "type": "FCNHead",
        "in_channels": widths[index],
        "in_index": index,
        "channels": AUXILIARY,
        "num_convs": 1,
        "concat_input": False,
        "dropout_ratio": 0.1,
        "num_classes": classes,
        "norm_cfg": norm,
        "align_corners": False,
        "ignore_index": VOID,
        "loss_decode": {"type": "CrossEntropyLoss", "use_sigmoid": False, "loss_weight": 0.4},
    }
