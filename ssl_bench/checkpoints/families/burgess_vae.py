"""The convolutional encoder of Burgess et al. 2018 (https://arxiv.org/abs/1804.03599), for variational autoencoders.

Names as in https://github.com/YannDubs/disentangling-vae. The authors feed MNIST resized to 32 pixels (torchvision's
default filter, bilinear) in 0..1 without normalisation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench.checkpoints import keys

INPUT: Mapping[str, Any] = {
    "size": (32, 32),
    "resize": "squash",
    "interpolation": "bilinear",
    "channels": "grey",
    "mean": (0.0,),
    "std": (1.0,),
}
POOLINGS = ("hidden", "latent_mean")
CONTAINERS: tuple[str, ...] = ()
PREFIXES = ("module.", "encoder.")
DROPPED = ("decoder.",)
renamed = keys.as_named


def shown_by(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return image size, channels and latent dimensions."""
    return {
        "size": 64 if "conv_64.weight" in state else 32,
        "channels": state["conv1.weight"].shape[1],
        "latents": state["mu_logvar_gen.bias"].shape[0] // 2,
    }


def build(size: int = 32, channels: int = 1, latents: int = 10) -> nn.Module:
    """Return the untrained encoder for images of 32 or 64 pixels."""
    return BurgessEncoder(size, channels, latents)


def features(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Return the last hidden layer after its activation (256) and the mean of the latent distribution (10).

    The last layer holds mean and log-variance of each latent side by side, not one after the other.
    """
    hidden = network(images)
    assert isinstance(network, BurgessEncoder)
    return {"hidden": hidden, "latent_mean": network.mu_logvar_gen(hidden)[:, 0::2]}


class BurgessEncoder(nn.Module):
    """Images (n, channels, size, size) in 0..1 to the last hidden layer (n, 256)."""

    def __init__(self, size: int, channels: int, latents: int) -> None:
        super().__init__()
        if size not in (32, 64):
            raise ValueError(f"the Burgess encoder takes images of 32 or 64 pixels, not {size}")
        self.conv1 = nn.Conv2d(channels, 32, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 4, stride=2, padding=1)
        self.conv_64 = nn.Conv2d(32, 32, 4, stride=2, padding=1) if size == 64 else None
        self.lin1 = nn.Linear(512, 256)
        self.lin2 = nn.Linear(256, 256)
        self.mu_logvar_gen = nn.Linear(256, 2 * latents)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for conv in (self.conv1, self.conv2, self.conv3, self.conv_64):
            x = torch.relu(conv(x)) if conv is not None else x
        return torch.relu(self.lin2(torch.relu(self.lin1(x.flatten(1)))))
