"""MoCo v1 and v2 (He et al. 2020, https://arxiv.org/abs/1911.05722; Chen et al. 2020, https://arxiv.org/abs/2003.04297).

Names as in https://github.com/facebookresearch/moco, and in MoCHi and ReSim, which build on it; ReSim's pyramid is
dropped. The file also holds the momentum encoder `encoder_k` and a queue; the authors evaluate `encoder_q`.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "encoder_q.")
DROPPED = ("fc.", "fpn_")
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
