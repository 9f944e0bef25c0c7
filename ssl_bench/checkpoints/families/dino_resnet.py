"""DINO's ResNet-50 (Caron et al. 2021, https://arxiv.org/abs/2104.14294).

Names as in https://github.com/facebookresearch/dino. The file of the backbone alone is bare; full ones hold student and
teacher, and the authors evaluate the teacher. MOKD and SCFS keep the names, MOKD under `teacher_cnn`, beside a ViT.
"""

from __future__ import annotations

from ssl_bench.checkpoints import keys, resnet

INPUT = {**resnet.INPUT, "interpolation": "bicubic"}  # as its ViTs
POOLINGS = resnet.POOLINGS
CONTAINERS = ("teacher", "teacher_cnn")
PREFIXES = ("module.", "backbone.")
DROPPED = ("fc.", "head.", "transhead.")
renamed = keys.as_named
shown_by = resnet.shown_by
build = resnet.build
features = resnet.features
