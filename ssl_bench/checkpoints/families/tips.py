"""TIPS (Maninis et al. 2024, https://arxiv.org/abs/2410.16512) and TIPSv2: the image encoders, as `.npz`.

Names as in https://github.com/google-deepmind/tips, folder pytorch, which are DINOv2's. There are two cls tokens: `cls`
met the captions of the web, `cls2`, in DINOv2's place of a register, synthetic captions that say where things are. The
catch: pixels are scaled to 0..1 and not normalised, images are squashed, and positions are interpolated bilinearly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.layers import SwiGLUPacked
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT = {
    "size": (448, 448),
    "resize": "squash",
    "interpolation": "bilinear",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}
POOLINGS = ("cls", "cls2", "patch_mean", "cls+patch_mean")
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.",)
DROPPED = ("mask_token",)
HEADS = {1152: 16}
"""Heads of So400m, whose heads are not 64 wide."""
RENAMES = ((r"register_tokens", "reg_token"), (r"mlp\.w12\.", "mlp.fc1."), (r"mlp\.w3\.", "mlp.fc2."))


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the second cls token and gated layers as timm does."""
    return keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, the heads, and whether the blocks are gated."""
    shown = vit.shown_by(state)
    gated = state["blocks.0.mlp.fc2.weight"].shape[1] != shown["hidden"]
    return {**shown, "heads": HEADS.get(shown["width"], shown["width"] // 64), "gated": gated}


def build(
    *, heads: int = 0, eps: float = 1e-6, positions: vit.Positions = "bilinear", gated: bool = False, **shown: Any
) -> nn.Module:
    """Return the untrained network; `gated` is the SwiGLU of ViT-g, whose `hidden` counts gate and value."""
    layers = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU} if gated else {}
    return vit.build(heads=heads, eps=eps, positions=positions, registers=1, init_values=1.0, **layers, **shown)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return both cls tokens, the mean over patches, it beside the first, and the map, all after the final norm."""
    assert isinstance(network, vit.ViT)
    tokens = network.forward_features(images)
    found = vit.pooled(tokens, network.num_prefix_tokens, images.shape[2] // network.patch)
    return {**found, "cls2": tokens[:, 1]}
