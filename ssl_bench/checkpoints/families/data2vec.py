"""data2vec for images (Baevski et al. 2022, https://arxiv.org/abs/2202.03555), its first version.

Names as in https://github.com/facebookresearch/data2vec_vision. A file holds `model` and its average `model_ema`; the
authors fine-tune `model`. The second version has other blocks and is not read here.
"""

from __future__ import annotations

from ssl_bench.checkpoints import relative_vit, vit

INPUT = vit.INPUT
POOLINGS = ("patch_mean", "cls", "cls+patch_mean")
CONTAINERS = ("model", "module")
PREFIXES = ("module.",)
DROPPED = ("mask_token", "lm_head", "head.")
renamed = relative_vit.without_buffers
shown_by = relative_vit.shown_by
build = relative_vit.build
features = relative_vit.features
