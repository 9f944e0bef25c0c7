"""What tests of families share: noise for a network, files in authors' layouts, and loading them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext

State = dict[str, Tensor]
ONE = torch.ones(1)


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """Fill everything with noise, so that nothing is zero or one, positions matter and attention is not flat."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5, generator=generator)
        elif tensor.is_floating_point():
            is_layer = tensor.ndim > 1 and name.endswith("weight")
            tensor.normal_(0.0, 1.5 / tensor[0].numel() ** 0.5 if is_layer else 0.3, generator=generator)
            tensor += float(tensor.ndim == 1 and name.endswith(("weight", "gamma")))
    return network.eval()


def under(prefix: str, state: State, *more: str) -> State:
    """Return the state with a prefix, and one tensor for each further name."""
    return {f"{prefix}{key}": tensor for key, tensor in state.items()} | dict.fromkeys(more, ONE)


def other(state: State) -> State:
    """Return a decoy: the same names and shapes, other values."""
    return {key: tensor + 1 for key, tensor in state.items()}


def training(**branches: Any) -> dict[str, Any]:
    """Return a file of a whole training run: what training codes add to the branches."""
    more = {"epoch": 3, "optimizer": {"state": {}}, "args": argparse.Namespace(arch="vit"), "scaler": {"scale": 1.0}}
    return {**branches, **more}


def load(folder: Path, content: dict[str, Any], family: str, options: str = "") -> Backbone:
    """Write the file and load it as its family."""
    path = folder / "weights.pth"
    torch.save(content, path)
    card = model_zoo.get(f"ckpt:{path},family={family}{options}")
    return backbones.load(card, LoadContext(path))


def images(size: int = 64) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


def assert_same(found: Tensor | None, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
