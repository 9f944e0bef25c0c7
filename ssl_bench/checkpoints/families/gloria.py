"""GLoRIA (Huang et al. 2021, ICCV): ResNets that learned from chest X-rays and the words of their reports.

Names as in https://github.com/marshuang80/gloria. The catch: the network itself scales what it is given to 299 pixels,
corner on corner, before its first layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from ssl_bench.checkpoints import keys, resnet

INPUT: Mapping[str, Any] = {
    "size": (224, 224),
    "resize": "short",
    "resize_to": 256,
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
}
POOLINGS = ("gap", "proj")
CONTAINERS = ("state_dict",)
PREFIXES = ("gloria.", "img_encoder.")
DROPPED = ("local_embedder.", "model.fc.")
SIDE = 299


def renamed(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the projection as `Gloria` does."""
    return keys.renamed_by(((r"^global_embedder\.", "projection."),), state)


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return what the ResNet shows, and the outputs of the projection."""
    trunk = {key.removeprefix("model."): tensor for key, tensor in state.items() if key.startswith("model.")}
    return {**resnet.shown_by(trunk), "outputs": state["projection.weight"].shape[0]}


def build(depths: tuple[int, ...] = (3, 4, 6, 3), widen: int = 1, outputs: int = 768, **unusual: Any) -> nn.Module:
    """Return the untrained network."""
    return Gloria(resnet.build(depths, widen, **unusual), (512 if unusual.get("basic") else 2048) * widen, outputs)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the mean of the last map, its projection, and the map."""
    assert isinstance(network, Gloria)
    dense = network(images)
    mean = dense.mean((2, 3))
    return {"gap": mean, "proj": network.projection(mean), "dense": dense}


class Gloria(nn.Module):
    """Images (n, 3, height, width) of any size to a map (n, 2048, 10, 10)."""

    def __init__(self, model: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.model, self.projection = model, nn.Linear(width, outputs)

    def forward(self, images: Tensor) -> Tensor:
        scaled = functional.interpolate(images, size=(SIDE, SIDE), mode="bilinear", align_corners=True)
        dense: Tensor = self.model(scaled)
        return dense
