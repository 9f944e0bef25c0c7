"""Images per second of segmentation_linear's training beside the bare network's, and the most memory that was held.

    python -m benchmarks.dense_training --device cuda --precision bfloat16
    python -m benchmarks.dense_training --model timm:vit_tiny_patch16_224 --crop 224 --batch 4 --steps 4

Crops are cut from pictures of 683 x 512 pixels, as JPEG files, with masks of 150 classes, in threads while the network
works; "ready" leaves that out, and trains on crops that lie on the device.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones import dense, grids
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split
from ssl_bench.environment import peak_memory_mb
from ssl_bench.features import FeatureStore
from ssl_bench.heads.linear import Linear
from ssl_bench.loading import Work
from ssl_bench.progress import Progress
from ssl_bench.protocols import _dense, _masks, base
from ssl_bench.protocols.segmentation_linear import Protocol, crops
from ssl_bench.targets import Mask
from ssl_bench.trials import CachedSupply, Data

CLASSES, PICTURES = 150, 64
WARM = 2
"""Steps before the clock starts."""


@dataclasses.dataclass
class Stack:
    """Things by position."""

    things: list[Any]

    def __len__(self) -> int:
        return len(self.things)

    def read(self, position: int) -> Any:
        return self.things[position]


def trial_of(backbone: Backbone, device: str, precision: str) -> base.Trial:
    """Return a trial on pictures of smoothed noise, which JPEG packs about as well as photographs."""
    draw, files, masks = np.random.default_rng(0), [], []
    for _ in range(PICTURES):
        small = Image.fromarray(draw.integers(0, 255, (64, 85, 3)).astype(np.uint8))
        buffer = io.BytesIO()
        small.resize((683, 512), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
        files.append(buffer.getvalue())
        blocks = draw.integers(0, CLASSES, (8, 11)).repeat(64, 0).repeat(64, 1)
        masks.append(Mask(blocks[:512, :683].astype(np.uint8)))
    ids = tuple(map(str, range(PICTURES)))
    split = Split(Stack(files), np.arange(PICTURES), ids, np.zeros((PICTURES, 0), np.int64), (), Stack(masks))
    spec: Any = type("Spec", (), {"input": backbone.input})()
    store, data = FeatureStore(Path("nowhere")), Data({"train": split}, {}, "")
    supply = CachedSupply(backbone, spec, data, store, Work(device), Progress(), "", 0, {}, Path())
    sizes = {"train": PICTURES}
    return base.Trial(CLASSES, 0, sizes, {}, supply, backbone=backbone, device=device, precision=precision)


def rate(step: Callable[[], Any], steps: int, batch: int, device: str) -> float:
    """Return images per second of a step of `batch` images."""

    def waited() -> float:
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter()

    for _ in range(WARM):
        step()
    start = waited()
    for _ in range(steps):
        step()
    return float(steps * batch / (waited() - start))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="timm:vit_base_patch16_224")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=50)
    given = parser.parse_args()
    backbone = backbones.load(model_zoo.get(f"{given.model},pretrained=false"))
    trial = trial_of(backbone, given.device, given.precision)
    _dense.ready(trial, "segmentation_linear")
    recipe = Protocol(steps=given.steps + WARM, batch=given.batch, crop=given.crop, size=given.crop)
    stride, side = dense.stride(backbone), (given.crop, given.crop)
    head = Linear(dense.dim(backbone), CLASSES)
    pixels = grids.blank(backbone, side).expand(given.batch, -1, -1, -1).contiguous()
    labels = torch.zeros((given.batch, *side), dtype=torch.long, device=given.device)

    def train(batches: Callable[[int], Iterator[tuple[Any, Any]]]) -> float:
        marks = []

        def see(images: Any) -> Any:
            marks.append(time.perf_counter())
            return _dense.features(trial, backbone, images)

        loss = lambda logits, said: _masks.cross_entropy(logits, said, side, stride)  # noqa: E731 - one line beside its use
        _dense.fit(trial, head, recipe.course, batches, see, loss)
        return float(given.batch * (len(marks) - 1 - WARM) / (marks[-1] - marks[WARM]))

    bare = rate(lambda: _dense.features(trial, backbone, pixels), given.steps, given.batch, given.device)
    ready = train(lambda first: itertools.repeat((pixels, labels)))
    whole = train(lambda first: crops(trial, backbone, recipe.augmentation, recipe.course, first))
    held = torch.cuda.max_memory_allocated() / 1e6 if given.device.startswith("cuda") else peak_memory_mb()
    print(f"torch {torch.__version__}, {given.model}, {given.device}, {given.precision}, {given.batch} x {given.crop}")
    print(f"the network alone        {bare:8.1f} images/s")
    print(f"training, crops ready    {ready:8.1f} images/s ({ready / bare:.0%})")
    print(f"training                 {whole:8.1f} images/s ({whole / bare:.0%})")
    print(f"most memory              {held:8.0f} MB")


if __name__ == "__main__":
    main()
