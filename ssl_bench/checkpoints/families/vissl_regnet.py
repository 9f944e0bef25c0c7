"""The RegNets of the VISSL zoo: SEER (Goyal et al. 2021, https://arxiv.org/abs/2103.01988) and SwAV.

Trunks of https://github.com/facebookresearch/vissl hold the stem and stages of ClassyVision's RegNet, which is
torchvision's under other names; files of torchvision itself fit too. SEER 10B is shards or 40 GB. The catch: the
supervised networks whose files end in `_bgr` take blue, green, red, which a card says in [input].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torchvision.models.regnet import BlockParams, RegNet

from ssl_bench.checkpoints import keys, resnet

INPUT = resnet.INPUT
POOLINGS = ("gap",)
CONTAINERS = ("classy_state_dict.base_model.model.trunk", "model_state_dict", "trunk", "model")
PREFIXES = ("module.", "_feature_blocks.")
DROPPED = ("fc.", "head.")
RENAMES = (
    (r"^conv1\.stem\.", "stem."),
    (r"^res\d\.block(\d)-(\d+)\.", r"trunk_output.block\1.block\1-\2."),
    (r"(block\d-\d+)\.proj\.(weight)", r"\1.proj.0.\2"),
    (r"(block\d-\d+)\.bn\.", r"\1.proj.1."),
    (r"\.f\.c\.(weight)", r".f.c.0.\1"),
    (r"\.f\.final_bn\.", ".f.c.1."),
    (r"\.se\.excitation\.0\.", ".se.fc1."),
    (r"\.se\.excitation\.2\.", ".se.fc2."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name stages and layers as torchvision does."""
    return keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return blocks, width and group width of each stage, the stem's width, and whether channels are excited."""
    blocks = [key for key in state if key.endswith(".f.a.0.weight")]
    middle = [state[f"trunk_output.block{stage}.block{stage}-0.f.b.0.weight"] for stage in (1, 2, 3, 4)]
    return {
        "depths": [sum(f".block{stage}-" in key for key in blocks) for stage in (1, 2, 3, 4)],
        "widths": [weight.shape[0] for weight in middle],
        "group_widths": [weight.shape[1] for weight in middle],
        "stem": state["stem.0.weight"].shape[0],
        "excited": any(".f.se." in key for key in state),
    }


def build(
    depths: tuple[int, ...] = (2, 5, 12, 1),
    widths: tuple[int, ...] = (232, 696, 1392, 3712),
    group_widths: tuple[int, ...] = (232, 232, 232, 232),
    stem: int = 32,
    excited: bool = True,
) -> nn.Module:
    """Return the untrained network; the defaults are RegNetY-32GF."""
    params = BlockParams(
        depths=list(depths),
        widths=list(widths),
        group_widths=list(group_widths),
        bottleneck_multipliers=[1.0] * len(depths),
        strides=[2] * len(depths),
        se_ratio=0.25 if excited else None,
    )
    network: nn.Module = RegNet(params, num_classes=1, stem_width=stem)
    network.avgpool = network.fc = nn.Identity()
    return network


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last map, 1/32 of the image's height and width, and its mean (VISSL's res5avg)."""
    assert isinstance(network, RegNet)
    dense = network.trunk_output(network.stem(images))
    return {"gap": dense.mean((2, 3)), "dense": dense}
