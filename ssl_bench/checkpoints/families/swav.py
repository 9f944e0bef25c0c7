"""SwAV, DeepCluster-v2 and SeLa-v2 (Caron et al. 2020, https://arxiv.org/abs/2006.09882), also in wider networks.

Names as in https://github.com/facebookresearch/swav. Its ResNet pads images by a layer of its own, which comes to the
same as the padding of the first convolution. The first deviation of its input is 0.228 where others have 0.229.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = {**resnet.INPUT, "std": (0.228, 0.224, 0.225)}
POOLINGS = resnet.POOLINGS
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.",)
DROPPED = ("projection_head.", "prototypes.")
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
