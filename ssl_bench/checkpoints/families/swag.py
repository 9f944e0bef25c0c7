"""SWAG's vision transformers (Singh et al. 2022, https://arxiv.org/abs/2201.08371), pretrained with hashtags.

Names as in https://github.com/facebookresearch/SWAG, which are torchvision's but for the positions: SWAG's network
runs over (tokens, images, dim), and its file keeps them as (tokens, 1, dim). Sizes other than the stored one are
refused: the authors interpolate positions between the corners of the grid, as no other family does. Its RegNets are
timm's regnety_*.swag_*.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT = {"size": (224, 224), "resize": "short"}
POOLINGS = vit.POOLINGS
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.",)
DROPPED = ("head.", "heads.")
RENAMES = (
    (r"^class_token$", "cls_token"),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.ln\.", "norm."),
    (r"^encoder\.layers\.(?:encoder_)?layer_(\d+)\.", r"blocks.\1."),
    (r"\.ln_(\d)\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(?:linear_1|0)\.", ".mlp.fc1."),
    (r"\.mlp\.(?:linear_2|3)\.", ".mlp.fc2."),
)
shown_by = vit.shown_by


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the layers as timm does, and put the positions' axis of images first."""
    found = keys.renamed_by(RENAMES, state)
    found["pos_embed"] = found["pos_embed"].reshape(1, -1, found["pos_embed"].shape[-1])
    return found


def build(*, heads: int = 0, eps: float = 1e-6, **shown: Any) -> nn.Module:
    """Return the untrained network without classifier."""
    return vit.build(heads=heads, eps=eps, **shown)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return cls, mean over patches, both side by side, and the map of patches, all after the final norm."""
    assert isinstance(network, vit.ViT)
    vit.check_size(images, network.patch_embed.img_size)
    return vit.features(network, images)
