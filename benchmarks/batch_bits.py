"""What changes the last bits of a feature on the CPU: the size of its batch, its place in it, and the threads.

Run: SSL_BENCH_DATA=… python benchmarks/batch_bits.py

A batch of 64 seeded images is the measure. "fewer": the sizes of smaller batches whose images get other features than
in the whole one; "order": whether the whole batch in another order gives other features; "filled": whether small
batches that are filled up to 64 do; the digest of all features shows whether the number of threads does.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from ssl_bench import backbones, model_zoo
from ssl_bench.backbones.base import LoadContext

NETWORKS = ("random:digits_vit", "cifar_resnet20", "shufflenetv2_05", "galileo_nano")
SIZES = (1, 2, 3, 7, 16, 31, 32, 33, 63)
BATCH = 64


def measure(name: str) -> str:
    """Return one network's line."""
    import torch

    card = model_zoo.get(name)
    state = model_zoo.weights_state(card, (Path(os.environ.get("SSL_BENCH_DATA", ".")),))
    backbone = backbones.load(card, LoadContext(weights_path=state.path, offline=True, load_card=model_zoo.get))
    torch.manual_seed(0)
    images = torch.rand(BATCH, 1 if backbone.input.channels == "grey" else 3, *backbone.input.size)

    def features(batch: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return backbone.forward(batch, backbone.default_pooling).pooled

    whole, order = features(images), torch.randperm(BATCH)
    fewer = [size for size in SIZES if not torch.equal(features(images[:size]), whole[:size])]
    filled = [torch.cat([images[-size:], images[:1].expand(BATCH - size, -1, -1, -1)]) for size in (1, 5, 31)]
    same = [torch.equal(features(batch)[:size], whole[-size:]) for batch, size in zip(filled, (1, 5, 31), strict=True)]
    moved = "same" if torch.equal(features(images[order]), whole[order]) else "other"
    digest = hashlib.sha256(whole.numpy().tobytes()).hexdigest()[:8]
    return f"{name:<20}{fewer!s:<16}{moved:<8}{'same' if all(same) else 'other':<8}{digest}"


def main() -> None:
    if len(sys.argv) > 1:
        for name in NETWORKS:
            print(measure(name))
        return
    for threads in (1, 2, 4):
        print(f"{f'{threads} threads':<20}{'fewer':<16}{'order':<8}{'filled':<8}digest", flush=True)
        subprocess.run([sys.executable, __file__, "measure"], env=dict(os.environ) | {"OMP_NUM_THREADS": str(threads)})


if __name__ == "__main__":
    main()
