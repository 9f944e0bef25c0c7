"""BEiT v2 (Peng et al. 2022, https://arxiv.org/abs/2208.06366).

Names as in https://github.com/microsoft/unilm, folder beit2. Unlike BEiT, pixels have the statistics of ImageNet, and
cls is trained: layers of its own, which are no part of the backbone, rebuild patches from it.
"""

from __future__ import annotations

from ssl_bench.checkpoints import relative_vit, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("mask_token", "lm_head.", "cls_pt_", "head.")
renamed = relative_vit.without_buffers
shown_by = relative_vit.shown_by
build = relative_vit.build
features = relative_vit.features
