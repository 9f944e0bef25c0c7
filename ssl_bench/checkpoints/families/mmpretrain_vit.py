"""Vision transformers of OpenMMLab: mmselfsup's and mmpretrain's MAE, MoCo v3 and their heirs, such as GenView.

Names as in https://github.com/open-mmlab/mmpretrain: the backbone stands beside necks, heads and momentum encoders. The
catch: its ViT-S of MoCo v3 has 12 heads of 32 dimensions, as the original; a card says `heads` = 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("mask_token", "head.")
RENAMES = (
    (r"^patch_embed\.projection\.", "patch_embed.proj."),
    (r"^layers\.(\d+)\.ln", r"blocks.\1.norm"),
    (r"^layers\.(\d+)\.ffn\.layers\.0\.0\.", r"blocks.\1.mlp.fc1."),
    (r"^layers\.(\d+)\.ffn\.layers\.1\.", r"blocks.\1.mlp.fc2."),
    (r"^layers\.", "blocks."),
    (r"^ln1\.", "norm."),
)
shown_by = vit.shown_by
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as timm does."""
    return keys.renamed_by(RENAMES, state)


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return vit.build(heads=heads, eps=eps, **shown)
