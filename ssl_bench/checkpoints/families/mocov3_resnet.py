"""MoCo v3's ResNet-50 (Chen et al. 2021, https://arxiv.org/abs/2104.02057).

Names as in https://github.com/facebookresearch/moco-v3. The file also holds a momentum encoder; the authors evaluate
`base_encoder`.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = resnet.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "base_encoder.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
