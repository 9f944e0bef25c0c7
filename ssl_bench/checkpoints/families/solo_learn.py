"""The ResNets of solo-learn (da Costa et al. 2022, https://jmlr.org/papers/v23/21-1155.html), of all its methods.

Names as in https://github.com/vturrisi/solo-learn: Lightning files with `backbone`, or `encoder` in older ones, beside
`momentum_backbone`, which it does not evaluate. The catch: its stem for CIFAR pads the image by 2 where all others pad
by 1, so that its maps are of 34 pixels, and no shape tells. A card for CIFAR says size, mean and deviation in [input].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("backbone.", "encoder.")
DROPPED = ("fc.",)
renamed = keys.as_named
features = resnet.features


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the blocks of each stage and what is unusual; a small stem pads by 2."""
    shown = resnet.shown_by(state)
    return {**shown, "stem_padding": 2} if shown.get("small_stem") else shown


def build(depths: tuple[int, ...] = (2, 2, 2, 2), widen: int = 1, **unusual: Any) -> resnet.ResNet:
    """Return the untrained network."""
    return resnet.build(depths, widen, **unusual)
