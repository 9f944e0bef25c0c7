"""SimMIM with a ViT (Xie et al. 2022, https://arxiv.org/abs/2111.09886).

Names as in https://github.com/microsoft/SimMIM. Its authors fine-tune the mean over patches.
"""

from __future__ import annotations

from ssl_bench.checkpoints import relative_vit, vit

INPUT = vit.INPUT
POOLINGS = ("patch_mean", "cls", "cls+patch_mean")
CONTAINERS = ("model",)
PREFIXES = ("module.", "encoder.")
DROPPED = ("mask_token", "decoder.", "head.")
renamed = relative_vit.without_buffers
shown_by = relative_vit.shown_by
build = relative_vit.build
features = relative_vit.features
