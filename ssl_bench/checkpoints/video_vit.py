"""Vision transformers trained on video, for images: a still image stands for a clip.

Patches of video span two frames. Of equal frames the sum of both kernels sees the same, so that an image is embedded
once and its patches are repeated, with the positions of each moment. How many moments of two frames there are, a
family says: eight, as a clip of 16 frames has, or one. There is no cls token: the feature is the mean over all tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import vit

POOLINGS = ("patch_mean",)
KERNEL = "patch_embed.proj.weight"


def flattened(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Sum the kernels (width, colours, frames, rows, columns) of the patch embedding over frames."""
    found = dict(state)
    if found[KERNEL].ndim == 5:
        found[KERNEL] = found[KERNEL].sum(2)
    return found


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return width, depth, patch side and hidden width, and the image size where positions of 8 moments are stored."""
    width, _, _, patch = state[KERNEL].shape
    shown = {
        "width": width,
        "depth": vit.depth_of(state),
        "patch": patch,
        "hidden": state["blocks.0.mlp.fc1.weight"].shape[0],
    }
    if "pos_embed" in state:
        shown["size"] = math.isqrt(state["pos_embed"].shape[1] // 8) * patch
    return shown


def build(*, moments: int, stored: bool, size: int = 224, **shown: Any) -> nn.Module:
    """Return the untrained network; positions are sines, computed here unless they are `stored` in the file."""
    return VideoViT(moments, stored=stored, **vit.arguments(size=size, **shown))


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean over all tokens, and the map of patches, averaged over moments."""
    assert isinstance(network, VideoViT)
    vit.check_size(images, network.patch_embed.img_size)
    tokens = network.forward_features(images).unflatten(1, (network.moments, -1)).mean(1)
    return vit.pooled(tokens, 0, images.shape[2] // network.patch)


class VideoViT(vit.ViT):
    """Images to tokens of `moments` moments; the positions of a whole clip have eight."""

    def __init__(self, moments: int, *, stored: bool, **arguments: Any) -> None:
        super().__init__(class_token=False, **arguments)
        if not 1 <= moments <= 8:
            raise ValueError(f"a clip of 16 frames has 1 to 8 moments of two frames, not {moments}")
        self.moments = moments
        table = sines(8 * self.patch_embed.num_patches, self.embed_dim)
        self.register_parameter("pos_embed", nn.Parameter(table) if stored else None)
        if not stored:
            del self.pos_embed
            self.register_buffer("pos_embed", table, persistent=False)

    def _pos_embed(self, x: Tensor) -> Tensor:
        """Add to patches (images, height, width, dim) the positions of every moment in turn."""
        patches = x.flatten(1, 2).repeat(1, self.moments, 1)
        places: Any = self.pos_embed
        positions: Tensor = places[:, : patches.shape[1]]
        return patches + positions


def sines(count: int, width: int) -> Tensor:
    """Return positions (1, count, width): sines at even, cosines at odd dimensions, wave lengths from 2 pi to 20000 pi.

    Source: Vaswani et al. 2017, section 3.5.
    """
    waves = 10000.0 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    angles = torch.arange(count, dtype=torch.float64)[:, None] / waves
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)[None].float()
