"""OmniMAE (Girdhar et al. 2023, https://arxiv.org/abs/2206.08356), trained on images and videos.

Names as in https://github.com/facebookresearch/omnivore, folder omnimae. As its authors do, an image stands for two
equal frames, with the positions of the first moment of a clip.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import video_vit, vit

INPUT = vit.INPUT
POOLINGS = video_vit.POOLINGS
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "trunk.")
DROPPED = ("decoder.", "mask_token", "head.")
shown_by = video_vit.shown_by
features = video_vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the patch embedding, which stands behind the repetition of frames, and sum it over frames."""
    return video_vit.flattened({key.replace("patch_embed.proj.1.", "patch_embed.proj."): state[key] for key in state})


def build(*, moments: int = 1, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained trunk."""
    return video_vit.build(moments=moments, stored=True, heads=heads, eps=eps, **shown)
