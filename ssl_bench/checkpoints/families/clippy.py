"""CLIPpy (Ranasinghe et al. 2022, https://arxiv.org/abs/2210.09996), as a third party trained it again.

Names as in https://github.com/kahnchana/clippy, a copy of OpenCLIP with timm's ViT-B/16 in it, begun from DINO's. The
catch: the space shared with text is the maximum over all tokens, cls among them, without a projection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import clip_vit, keys, vit

INPUT: Mapping[str, Any] = clip_vit.INPUT
POOLINGS = ("token_max", *vit.POOLINGS)
CONTAINERS = ("state_dict",)
PREFIXES = ("module.", "visual.", "trunk.")
DROPPED: tuple[str, ...] = ()  # the text tower does not bear the prefix
renamed = keys.as_named
shown_by = vit.shown_by
build = vit.build


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the maximum over all tokens, and the poolings and the map of a plain vision transformer."""
    assert isinstance(network, vit.ViT)
    tokens: Tensor = network.forward_features(images)
    found = vit.pooled(tokens, network.num_prefix_tokens, images.shape[2] // network.patch)
    return {"token_max": torch.amax(tokens, dim=1), **found}
