"""Images/s of the harness against the bare network in a loop on a preloaded tensor, in turns within one run.

Run: python benchmarks/extraction.py [cuda] [NETWORK …]    (on a machine that does nothing else)

The harness decodes and resizes nothing here: its images are arrays of the network's size, as the bare loop's tensor is;
with the word "jpeg" they are JPEG files of 500 x 375 pixels, which it decodes and resizes while the network works.
"""

from __future__ import annotations

import dataclasses
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import Backbone
from ssl_bench.datasets.base import Split, digest_image
from ssl_bench.extraction import Spec
from ssl_bench.features import FeatureStore
from ssl_bench.images import Raw, normalise
from ssl_bench.loading import Work
from ssl_bench.progress import Progress

NETWORKS = {
    "ViT-S/16": "random:timm:vit_small_patch16_224",
    "ViT-B/16": "random:timm:vit_base_patch16_224",
    "ResNet-50": "random:timm:resnet50",
}
TURNS = 5


class Memory(list[Raw]):
    """Images in memory as a source."""

    def read(self, index: int) -> Raw:
        return self[index]


def photographs(count: int, jpeg: bool) -> Split:
    """Return smooth noise, whose JPEG files are about as large as photographs'."""
    draw = np.random.default_rng(0)
    size = (500, 375) if jpeg else (224, 224)
    images: list[Raw] = []
    for _ in range(count):
        small = Image.fromarray(draw.integers(0, 255, (40, 50, 3), dtype=np.uint8))
        image = small.resize(size, Image.Resampling.BICUBIC)
        if jpeg:
            file = io.BytesIO()
            image.save(file, "jpeg", quality=90)
            images.append(file.getvalue())
        else:
            images.append(np.asarray(image))
    return Split(Memory(images), np.arange(count), tuple(map(str, range(count))), np.zeros(count, np.int64))


def bare(backbone: Backbone, device: str, count: int, batch: int, precision: str) -> Callable[[], None]:
    """Return what passes `count` normalised images through the network alone."""
    images = torch.zeros(count, 3, 224, 224, dtype=torch.uint8, device=device).random_(256)
    ready = normalise(images, backbone.input)
    network = backbone.network
    assert network is not None
    network.to(device)
    cast = torch.autocast(device, getattr(torch, precision), enabled=precision != "float32")

    def loop() -> None:
        with torch.inference_mode(), cast:
            for start in range(0, count, batch):
                network(ready[start : start + batch])
            if device == "cuda":
                torch.cuda.synchronize()

    return loop


def ours(backbone: Backbone, device: str, split: Split, batch: int, precision: str) -> Callable[[], None]:
    """Return what extracts the features of a split into an empty cache."""
    digests = np.stack([np.frombuffer(digest_image(split.read(i)), dtype=np.uint8) for i in range(len(split))])
    seen = backbone.input if isinstance(split.read(0), bytes) else dataclasses.replace(backbone.input, resize="none")
    spec = Spec(backbone.weights_digest(), backbone.arch(), seen, backbone.default_pooling, precision)

    def extract() -> None:
        with tempfile.TemporaryDirectory() as folder:
            store = FeatureStore(Path(folder))
            rows, _ = store.features(backbone, spec, split, digests, Work(device, batch), Progress(), "benchmark")
            assert np.isfinite(rows[:]).all()

    return extract


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main(words: list[str]) -> None:
    device, jpeg = "cuda" if "cuda" in words else "cpu", "jpeg" in words
    chosen = {name: text for name, text in NETWORKS.items() if name in words} or NETWORKS
    count, batch = (8192, 256) if device == "cuda" else (512 if jpeg else 64, 32)
    split = photographs(count, jpeg)
    where = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, {where}, {count} images of {'JPEG files' if jpeg else 'arrays'}, batch {batch}")
    for name, text in chosen.items():
        backbone = backbones.load(model_zoo.get(text))
        for precision in ("float32", "bfloat16"):
            alone = bare(backbone, device, count, batch, precision)
            whole = ours(backbone, device, split, batch, precision)
            alone(), whole()
            pairs = [(seconds(alone), seconds(whole)) for _ in range(TURNS)]
            ratio = statistics.median(first / second for first, second in pairs)
            rate, bare_rate = (count / statistics.median(pair[i] for pair in pairs) for i in (1, 0))
            print(
                f"{name:<10} {precision:<9} harness {rate:8.1f}/s  bare {bare_rate:8.1f}/s  ratio {ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
