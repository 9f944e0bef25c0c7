"""DenseCL (Wang et al. 2021, https://arxiv.org/abs/2011.09157).

Names as in https://github.com/WXinlong/DenseCL: released files hold the backbone, training files its heads besides.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("backbone.",)
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
