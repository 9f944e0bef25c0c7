"""A small network and seeded data for tests of the loop."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from ssl_bench.training import Batches, Group, Settings

CLASSES = 4


def network(
    seed: int = 0, *, drop_path: float = 0.0, dropout: float = 0.0, dtype: torch.dtype = torch.float32
) -> nn.Module:
    """Return a ViT of two blocks for images of 16 x 16 pixels; LayerNorm alone."""
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vit = timm.models.VisionTransformer(
            img_size=16,
            patch_size=8,
            embed_dim=16,
            depth=2,
            num_heads=2,
            num_classes=CLASSES,
            drop_path_rate=drop_path,
            proj_drop_rate=dropout,
        )
    return vit.to(dtype)


def groups(module: nn.Module) -> list[Group]:
    """Return weights with decay, and the rest without and at half the rate."""
    weights = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    rest = [parameter for parameter in module.parameters() if parameter.ndim < 2]
    return [Group(weights, 1.0, 0.05, "weights"), Group(rest, 0.5, 0.0, "rest")]


def batches(batch: int, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Batches:
    """Return batches of noise with a label that is written into the image."""

    def one(step: int, place: int) -> tuple[Tensor, int]:
        generator = np.random.default_rng([step, place])
        label = int(generator.integers(CLASSES))
        image = generator.normal(size=(3, 16, 16))
        image[:, 4 * label : 4 * label + 4] += 1
        return torch.from_numpy(image).to(device, dtype), label

    def give(first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        for step in itertools.count(first):
            for start in range(0, len(places), size):
                images, labels = zip(*(one(step, place) for place in places[start : start + size]), strict=True)
                yield torch.stack(images), torch.tensor(labels, device=device)

    return give


def settings(**changes: object) -> Settings:
    """Return the settings of a short run."""
    usual: dict[str, object] = {"steps": 8, "batch": 12, "optimiser": "adamw", "rate": 1e-2, "warmup": 2}
    return Settings(**(usual | changes))  # type: ignore[arg-type]
