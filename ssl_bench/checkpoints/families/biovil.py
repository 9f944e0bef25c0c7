"""BioViL (Boecking et al. 2022, https://arxiv.org/abs/2204.09817) and BioViL-T (https://arxiv.org/abs/2301.04558).

They learned from chest X-rays and their reports. Names as in https://github.com/microsoft/hi-ml (hi-ml-multimodal). The
catches: the projection comes before the mean, place by place; pixels of 0..1 are not normalised; and BioViL-T, which
compares with an earlier X-ray, is given none here, so that a learned vector stands beside each place, and half of its
`gap` is the same for all images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import keys, resnet

INPUT: Mapping[str, Any] = {
    "size": (448, 448),
    "resize": "short",
    "resize_to": 512,
    "interpolation": "bilinear",
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
}
POOLINGS = ("gap", "proj")
CONTAINERS = ("state_dict",)
PREFIXES = ("module.",)
DROPPED = ("encoder.encoder.fc.", "encoder.vit_pooler.", "classifier.")
RENAMES = (
    (r"^encoder\.encoder\.", "trunk."),
    (r"^encoder\.backbone_to_vit\.", "narrow."),
    (r"^encoder\.missing_previous_emb$", "missing"),
    (r"^projector\.model\.", "projector."),
)


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the ResNet, the layer behind it, the vector of a missing image and the projection as `Biovil` does."""
    return keys.renamed_by(RENAMES, state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the ResNet's blocks, the width before comparison (0 for BioViL), and the outputs of the projection."""
    trunk = {key.removeprefix("trunk."): tensor for key, tensor in state.items() if key.startswith("trunk.")}
    return {
        "depths": resnet.depths_of(trunk),
        "narrow": state["narrow.weight"].shape[0] if "narrow.weight" in state else 0,
        "outputs": state["projector.3.weight"].shape[0],
    }


def build(depths: tuple[int, ...] = (3, 4, 6, 3), narrow: int = 256, outputs: int = 128) -> nn.Module:
    """Return the untrained network."""
    return Biovil(depths, narrow, outputs)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean of the map, the mean of its projection, and the map."""
    assert isinstance(network, Biovil)
    dense = network(images)
    return {"gap": dense.mean((2, 3)), "proj": network.projector(dense).mean((2, 3)), "dense": dense}


class Biovil(nn.Module):
    """Images (n, 3, height, width) to a map (n, 2048 or twice `narrow`, height / 32, width / 32)."""

    def __init__(self, depths: tuple[int, ...], narrow: int, outputs: int) -> None:
        super().__init__()
        self.trunk = resnet.build(depths)
        if narrow:
            self.narrow = nn.Conv2d(2048, narrow, 1, bias=False)
            self.missing = nn.Parameter(torch.zeros(1, narrow, 1, 1))
        width = 2 * narrow or 2048
        first, last = nn.Conv2d(width, outputs, 1, bias=False), nn.Conv2d(outputs, outputs, 1)
        self.projector = nn.Sequential(first, nn.BatchNorm2d(outputs), nn.ReLU(), last)

    def forward(self, images: Tensor) -> Tensor:
        dense: Tensor = self.trunk(images)
        if not hasattr(self, "narrow"):
            return dense
        dense = self.narrow(dense)
        return torch.cat([dense, self.missing.expand_as(dense)], dim=1)
