"""DINO's ResNet-50 (Caron et al. 2021, https://arxiv.org/abs/2104.14294).

Names as in https://github.com/facebookresearch/dino. The file of the backbone alone is bare; full ones hold student and
teacher, and the authors evaluate the teacher.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = {**resnet.INPUT, "interpolation": "bicubic"}  # as its ViTs
POOLINGS = resnet.POOLINGS
CONTAINERS = ("teacher",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("fc.", "head.")
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
