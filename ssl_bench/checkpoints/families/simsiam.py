"""SimSiam (Chen and He 2021, https://arxiv.org/abs/2011.10566).

Names as in https://github.com/facebookresearch/simsiam.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
