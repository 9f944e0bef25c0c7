"""The ConvNeXt that several families share: its authors' names, what its shapes show, and how it is built.

Names as in https://github.com/facebookresearch/ConvNeXt. Files without layer scale show it by their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, vit

RENAMES = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"\.dwconv\.", ".conv_dw."),
    (r"\.pwconv", ".mlp.fc"),
    (r"^norm\.", "head.norm."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name stages and layers as timm does."""
    return keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return blocks and width of each stage."""
    stages = range(vit.depth_of(state, "stages."))
    return {
        "depths": [vit.depth_of(state, f"stages.{stage}.blocks.") for stage in stages],
        "widths": [state[f"stages.{stage}.blocks.0.conv_dw.weight"].shape[0] for stage in stages],
    }


def build(depths: tuple[int, ...], widths: tuple[int, ...], *, scaled: bool) -> nn.Module:
    """Return the untrained network; `scaled` blocks have layer scale."""
    network: nn.Module = ConvNeXt(depths=depths, dims=widths, ls_init_value=1e-6 if scaled else None, num_classes=0)
    return network
