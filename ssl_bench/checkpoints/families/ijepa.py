"""I-JEPA's vision transformers (Assran et al. 2023, https://arxiv.org/abs/2301.08243).

Names as in https://github.com/facebookresearch/ijepa. There is no cls token: the feature is the mean over patches. The
catch: the file holds `encoder`, which sees part of an image, and `target_encoder`, its average, which is evaluated; the
two have the same names and shapes. StoP (FlexPredict), from an earlier state of this code, keeps its names.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = ("patch_mean",)
CONTAINERS = ("target_encoder", "teacher")
PREFIXES = ("module.",)
DROPPED: tuple[str, ...] = ()
renamed = keys.as_named
shown_by = vit.shown_by
features = vit.features


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network."""
    return vit.build(heads=heads, eps=eps, class_token=False, **shown)
