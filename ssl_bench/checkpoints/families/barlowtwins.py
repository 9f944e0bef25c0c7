"""Barlow Twins (Zbontar et al. 2021, https://arxiv.org/abs/2103.03230).

Names as in https://github.com/facebookresearch/barlowtwins: the released file is bare, a full checkpoint has `model`.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
