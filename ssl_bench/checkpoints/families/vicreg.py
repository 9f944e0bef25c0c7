"""VICReg (Bardes et al. 2022, https://arxiv.org/abs/2105.04906), and the ResNets of VICRegL (https://arxiv.org/abs/2210.01571).

Names as in https://github.com/facebookresearch/vicreg: released files are bare, full checkpoints have `model`.
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
