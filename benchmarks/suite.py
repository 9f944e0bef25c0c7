"""Wall time of all frozen-feature protocols over several tasks, divided by the bare forward passes of their images.

Run: python benchmarks/suite.py DATA [MODEL]    (on a machine that does nothing else)

DATA holds the real datasets of the tasks below. Every distinct image passes the network once; tasks that share images
share features. `label_free` is left out: its rotations are images of their own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import ssl_bench
from ssl_bench import backbones, datasets, model_zoo, tasks
from ssl_bench.datasets import index
from ssl_bench.extraction import Work, batches
from ssl_bench.images import normalise

TASKS = ("eurosat_3500", "coil20_object", "coil20_azimuth")
PROTOCOLS = (
    "knn",
    "logistic_regression",
    "few_shot_ridge",
    "few_shot_logistic",
    "low_shot",
    "episodic",
    "clustering",
    "retrieval",
)
RECIPES = {"low_shot": "low_shot,fraction=0.1"}


def bare(data: Path, cache: Path, model: str) -> tuple[int, float]:
    """Return how many distinct images the tasks have, and the seconds that the network alone takes for them."""
    backbone = backbones.load(model_zoo.get(model))
    seen: set[bytes] = set()
    seconds = 0.0
    for name in TASKS:
        card = tasks.get(name)
        splits = datasets.load(card, data)
        digests = index.build(card, data, cache, splits).digests
        for role, split in splits.items():
            new = [i for i, row in enumerate(digests[role]) if row.tobytes() not in seen]
            seen |= {digests[role][i].tobytes() for i in new}
            for _, images in batches(split, backbone.input, np.array(new, dtype=np.int64), Work(workers=0)):
                ready = normalise(images, backbone.input)
                start = time.perf_counter()
                with torch.inference_mode():
                    backbone.forward(ready, backbone.default_pooling)
                seconds += time.perf_counter() - start
    return len(seen), seconds


def main(data: Path, model: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        images, alone = bare(data, Path(folder) / "index", model)
        start = time.perf_counter()
        outcome = ssl_bench.run(
            model,
            task=TASKS,
            protocol=[RECIPES.get(name, name) for name in PROTOCOLS],
            data=data,
            cache=Path(folder) / "cache",
            results=Path(folder) / "results",
            device="cpu",
            progress="none",
        )
        whole = time.perf_counter() - start
    for failure in outcome.failures:
        print(f"failed: {failure.job.label}: {failure.error}")
    spent: dict[str, float] = {}
    for record in outcome.written:
        name = record.protocol.name
        spent[name] = spent.get(name, 0.0) + record.timing["protocol_seconds"]
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {model}, {', '.join(TASKS)}")
    print(f"{len(outcome.written)} records of {len(PROTOCOLS)} protocols; {images} distinct images")
    for name, seconds in sorted(spent.items(), key=lambda item: -item[1]):
        print(f"  {name:<20} {seconds:7.1f} s")
    print(f"bare forward passes {alone:.1f} s, whole suite {whole:.1f} s, ratio {whole / alone:.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "random:timm:vit_small_patch16_224")
