"""OpenCLIP's own vision transformers (Cherti et al. 2022, https://arxiv.org/abs/2212.07143) and those trained with it.

Names as in https://github.com/mlfoundations/open_clip, which are OpenAI's. The catch: the activation is GELU, where
OpenAI's is x * sigmoid(1.702 x), and no shape tells; DFN's and MetaCLIP's files are OpenAI's kind: family clip. Weights
that open_clip knows by a tag, and all towers of timm, are loaded by the adapter open_clip with `weights.file` as well.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ssl_bench.checkpoints import clip_vit

INPUT = clip_vit.INPUT
POOLINGS = clip_vit.POOLINGS
CONTAINERS = ("state_dict",)
PREFIXES = clip_vit.PREFIXES
DROPPED: tuple[str, ...] = ()
renamed = clip_vit.renamed
shown_by = clip_vit.shown_by
features = clip_vit.features


def build(*, outputs: int = 512, heads: int = 0, eps: float = 1e-5, **shown: Any) -> nn.Module:
    """Return the untrained image tower."""
    return clip_vit.build(outputs=outputs, heads=heads, eps=eps, quick_gelu=False, **shown)
