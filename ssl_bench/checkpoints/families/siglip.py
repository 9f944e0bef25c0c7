"""SigLIP (Zhai et al. 2023, https://arxiv.org/abs/2303.15343) and SigLIP 2 as big_vision's `.npz`: the image towers.

Names as in https://github.com/google-research/big_vision, under `params/img/`. There is no cls: attention with one
learned query pools the patches (`map`), which is what meets the text, without a projection. Images are squashed, not
cropped. The catch: the activation is the tanh approximation of GELU; timm's copies of most sizes have GELU itself.
"""

from __future__ import annotations

from typing import Any

from timm.layers import AttentionPoolLatent
from torch import Tensor, nn

from ssl_bench.checkpoints import flax_vit, vit

INPUT = {
    "size": (224, 224),
    "resize": "squash",
    "interpolation": "bilinear",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
POOLINGS = ("map", "patch_mean")
CONTAINERS: tuple[str, ...] = ()
PREFIXES = flax_vit.PREFIXES
DROPPED = ("head/", "txt/")
renamed = flax_vit.renamed
shown_by = flax_vit.shown_by


def build(*, heads: int = 0, eps: float = 1e-6, gelu: str = "gelu_tanh", **shown: Any) -> nn.Module:
    """Return the untrained image tower with its attention pooling."""
    network = vit.build(heads=heads, eps=eps, class_token=False, act_layer=gelu, **shown)
    block = network.blocks[0]
    network.attn_pool = AttentionPoolLatent(
        network.embed_dim,
        num_heads=block.attn.num_heads,
        mlp_ratio=(block.mlp.fc1.out_features + 0.5) / network.embed_dim,
        norm_layer=type(block.norm1),
        act_layer=type(block.mlp.act),
    )
    network.attn_pool.norm.eps = eps
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the attention pooling and the mean of the patches after the final norm, and their map."""
    assert isinstance(network, vit.ViT)
    tokens = network.forward_features(images)
    return {"map": network.attn_pool(tokens), **vit.pooled(tokens, 0, images.shape[2] // network.patch)}
