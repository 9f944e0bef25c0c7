"""BEiT (Bao et al. 2022, https://arxiv.org/abs/2106.08254): its ViTs before and after fine-tuning.

Names as in https://github.com/microsoft/unilm, folder beit. Pixels are scaled to -1..1. Its authors fine-tune the mean
over patches; cls is not trained before that.
"""

from __future__ import annotations

from ssl_bench.checkpoints import relative_vit, vit

INPUT = {**vit.INPUT, "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
POOLINGS = ("patch_mean", "cls", "cls+patch_mean")
CONTAINERS = ("model",)
PREFIXES = ("module.",)
DROPPED = ("mask_token", "lm_head.", "head.")
renamed = relative_vit.without_buffers
shown_by = relative_vit.shown_by
build = relative_vit.build
features = relative_vit.features
