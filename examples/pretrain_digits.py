"""Pre-train the tiny ViT of `model_zoo/digits_vit.toml` on the training digits, without labels.

    python examples/pretrain_digits.py               # 2-3 minutes on two cores; writes the weights and the card
    python examples/pretrain_digits.py --hold-out    # trains on four fifths of train, prints kNN on the other fifth

SimCLR (Chen et al. 2020): two random distortions of each digit are to be found among the distortions of 255 others. A
digit stays a digit under small rotations, shears, shifts, stretches and wavy distortions, and in thinner, fainter or
noisier ink; it does not under reflections and crops. The test digits are never read.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from ssl_bench import backbones, images, model_zoo
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.files import atomic_write, digest_file, write_text

MODEL = "digits_vit"
STEPS = 1000
BATCH = 256
LEARNING_RATE = 4e-3
WARMUP = 50
WEIGHT_DECAY = 0.05
TEMPERATURE = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--hold-out", action="store_true", help="check on a fifth of train instead of writing")
    options = parser.parse_args()
    card = model_zoo.get(MODEL)
    backbone = backbones.load(card, LoadContext(untrained=True, seed=options.seed))
    pixels, labels = training_digits(backbone)
    held = np.arange(len(pixels)) % 5 == 0 if options.hold_out else np.zeros(len(pixels), dtype=bool)
    pretrain(backbone, pixels[~held], options.steps, options.seed)
    if options.hold_out:
        features = backbone.forward(pixels, backbone.default_pooling).pooled.numpy()
        print(f"kNN on {held.sum()} held-out training digits: {knn(features, labels, held):.4f}")
    else:
        write(backbone, Path(card.folder))


def training_digits(backbone: Backbone) -> tuple[Tensor, NDArray[np.int64]]:
    """Return the training digits as the network sees them, (images, 1, 16, 16), and labels for the check alone."""
    from ssl_bench import datasets, tasks

    split = datasets.load(tasks.get("digits"), Path())["train"]
    seen = [images.pixels(images.decode(split.read(i), split.ids[i]), backbone.input) for i in range(len(split))]
    return images.normalise(torch.from_numpy(np.stack(seen)), backbone.input), split.labels


def pretrain(backbone: Backbone, pixels: Tensor, steps: int, seed: int) -> None:
    """Train the backbone's network in place."""
    torch.manual_seed(seed)
    network: Any = backbone.network
    network.train().requires_grad_(True)
    projector = nn.Sequential(nn.Linear(network.num_features, 128), nn.BatchNorm1d(128), nn.GELU(), nn.Linear(128, 64))
    parameters = [*network.parameters(), *projector.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))
    )
    for step in range(steps):
        batch = pixels[torch.randperm(len(pixels))[:BATCH]]
        views = torch.cat([distort(batch), distort(batch)])
        loss = contrast(projector(network(views)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}")
    network.eval().requires_grad_(False)


def contrast(projections: Tensor) -> Tensor:
    """Return SimCLR's loss: cross-entropy of each view (2 n, dim) finding the other view of its image.

    -log(exp(z_i z_j / T) / sum over k != i of exp(z_i z_k / T)), with z of length 1 and j the partner of i.
    """
    unit = functional.normalize(projections, dim=1)
    similarity = (unit @ unit.T / TEMPERATURE).fill_diagonal_(-1e9)
    partner = torch.arange(len(unit)).roll(len(unit) // 2)
    return functional.cross_entropy(similarity, partner)


def distort(batch: Tensor) -> Tensor:
    """Return the images (n, 1, height, width) in -1..1, each distorted by its own draw."""
    grid = functional.affine_grid(random_affine(len(batch)), list(batch.shape), align_corners=False)
    waves = functional.interpolate(0.12 * torch.randn(len(batch), 2, 4, 4), batch.shape[-2:], mode="bicubic")
    ink = functional.grid_sample((batch + 1) / 2, grid + waves.permute(0, 2, 3, 1), align_corners=False)
    ink = ink.clamp(0, 1).pow(uniform(len(batch), 0.5).exp().view(-1, 1, 1, 1))  # thicker or thinner
    fainter, noisier = torch.rand(2, len(batch), 1, 1, 1)
    return (ink * (1 - 0.3 * fainter) + 0.15 * noisier * torch.randn_like(ink)) * 2 - 1


def random_affine(count: int) -> Tensor:
    """Return (count, 2, 3): rotation up to 20 degrees, scale and stretch, shear, and a shift up to 15 % of the side."""
    angle, scale, stretch = uniform(count, math.radians(20)), uniform(count, 0.2).exp(), uniform(count, 0.14).exp()
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    zero = torch.zeros(count)
    shape = torch.stack([scale * stretch, uniform(count, 0.25), zero, scale / stretch], dim=1).view(count, 2, 2)
    shift = torch.stack([uniform(count, 0.3), uniform(count, 0.3)], dim=1)
    return torch.cat([turn @ shape, shift[:, :, None]], dim=2)


def uniform(count: int, limit: float) -> Tensor:
    """Return (count,) draws between -limit and limit."""
    return (torch.rand(count) * 2 - 1) * limit


def knn(features: NDArray[np.float32], labels: NDArray[np.int64], held: NDArray[np.bool_], k: int = 20) -> float:
    """Return the accuracy of k cosine neighbours, weighted exp(similarity / 0.07), on the held-out rows."""
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit[held] @ unit[~held].T
    nearest = np.argsort(-similarity, axis=1)[:, :k]
    weights = np.exp((np.take_along_axis(similarity, nearest, axis=1) - 1) / 0.07)
    votes = [(weights * (labels[~held][nearest] == label)).sum(1) for label in range(10)]
    return float((np.argmax(votes, axis=0) == labels[held]).mean())


def write(backbone: Backbone, folder: Path) -> None:
    """Write the weights beside the card, and their digest and size into the card."""
    from safetensors.torch import save

    assert backbone.network is not None
    path, card = folder / f"{MODEL}.safetensors", folder / f"{MODEL}.toml"
    with atomic_write(path) as file:
        file.write(save(backbone.network.state_dict()))
    text = re.sub(r'sha256 = ".*"', f'sha256 = "{digest_file(path)}"', card.read_text(encoding="utf-8"))
    write_text(card, re.sub(r"bytes  = \d+", f"bytes  = {path.stat().st_size}", text))
    print(f"wrote {path} ({path.stat().st_size} bytes) and its digest into {card}")


if __name__ == "__main__":
    main()
