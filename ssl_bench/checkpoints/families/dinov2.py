"""DINOv2 (Oquab et al. 2023, https://arxiv.org/abs/2304.07193), with and without registers (Darcet et al. 2023).

Names as in https://github.com/facebookresearch/dinov2. Positions are stored for 518 pixels and interpolated to 224, by
one rule for networks without registers and by another for those with: `positions` in [arch] overrides the choice.
Training files number blocks within chunks. Registers follow cls and belong to no pooling.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.layers import SwiGLUPacked
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

INPUT = vit.INPUT
POOLINGS = vit.POOLINGS
CONTAINERS = ("teacher",)
PREFIXES = ("module.", "backbone.")
DROPPED = ("mask_token", "dino_head.", "ibot_head.")
RENAMES = (
    (r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),
    (r"register_tokens", "reg_token"),
    (r"mlp\.w12\.", "mlp.fc1."),
    (r"mlp\.w3\.", "mlp.fc2."),
)
features = vit.features


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name registers and gated layers as timm does, and count blocks through all chunks."""
    return keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what a plain vision transformer shows, the registers and the rule that goes with them."""
    shown = vit.shown_by(state)
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    gated = state["blocks.0.mlp.fc2.weight"].shape[1] != shown["hidden"]
    return {**shown, "registers": registers, "gated": gated, "positions": "antialiased" if registers else "scaled"}


def build(
    *,
    heads: int = 0,
    eps: float = 1e-6,
    positions: vit.Positions = "scaled",
    registers: int = 0,
    gated: bool = False,
    **shown: Any,
) -> nn.Module:
    """Return the untrained network; `gated` is the SwiGLU of ViT-g, whose `hidden` counts gate and value."""
    layers = {"mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU} if gated else {}
    return vit.build(heads=heads, eps=eps, positions=positions, registers=registers, init_values=1.0, **layers, **shown)
