"""BYOL's own ResNets (Grill et al. 2020, https://arxiv.org/abs/2006.07733), converted to torch.

Names as https://github.com/ajtejankar/byol-convert writes them (`python convert.py pretrain_res50x1.pkl OUT`): the
originals are dill pickles of JAX arrays, which no safe reader opens. The catch: every convolution of stride 2 and the
pooling pad as Haiku does, behind the image rather than around it, and torchvision's ResNet loads the file as strictly.
BYOL as trained by mmselfsup, lightly or solo-learn is an ordinary ResNet: the families resnet and solo_learn.
"""

from __future__ import annotations

from typing import Any

from ssl_bench.checkpoints import keys, resnet
from ssl_bench.checkpoints.same_padding import pad_same

INPUT = {**resnet.INPUT, "interpolation": "bicubic"}
POOLINGS = resnet.POOLINGS
CONTAINERS = ("model_state_dict",)
PREFIXES = ("module.", "_feature_blocks.")
DROPPED = ("fc.",)
renamed = keys.as_named
shown_by = resnet.shown_by
features = resnet.features


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, **unusual: Any) -> resnet.ResNet:
    """Return the untrained network: ResNet-50 is 3, 4, 6, 3 blocks, ResNet-200 2x is 3, 24, 36, 3 and widen 2."""
    return pad_same(resnet.build(depths, widen, **unusual))
