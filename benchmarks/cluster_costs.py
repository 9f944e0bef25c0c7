"""What the jobs of a large evaluation are made of, in processor time: what cluster_simulation.py rests on.

Run: python benchmarks/cluster_costs.py > benchmarks/results/cluster_costs.json

Networks pass images of 224 pixels on one core in float32; a process is started that finds its job done. Probes are not
measured here: the simulation fits them to the committed benchmarks and records.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

import ssl_bench
from ssl_bench import backbones, model_zoo

NETWORKS = {
    "resnet50": "resnet50",
    "small": "vit_small_patch16_224",
    "base": "vit_base_patch16_224",
    "large": "vit_large_patch16_224",
    "huge": "vit_huge_patch14_224",
}
BATCH = 4


def network(name: str) -> dict[str, float]:
    """Return seconds to make a network, seconds per image, its feature's size and its weights' megabytes."""
    start = time.process_time()
    backbone = backbones.load(model_zoo.get(f"random:timm:{name}"))
    made = time.process_time() - start
    assert backbone.network is not None
    images = torch.rand(BATCH, 3, 224, 224)
    with torch.inference_mode():
        features = backbone.forward(images, backbone.default_pooling).pooled
        start = time.process_time()
        backbone.forward(images, backbone.default_pooling)
    assert features is not None
    weights = sum(4 * parameter.numel() for parameter in backbone.network.parameters())
    return {
        "load_seconds": round(made, 2),
        "image_seconds": round((time.process_time() - start) / BATCH, 4),
        "dim": features.shape[1],
        "weights_mb": round(weights / 1e6),
    }


def start_seconds() -> float:
    """Return the processor time of `run-job` for a job that is done already."""
    top = Path(ssl_bench.__file__).parent.parent
    own = {"PYTHONPATH": str(top), "SSL_BENCH_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    request = ["-m", "digits_vit", "-t", "digits", "-p", "knn", "--cache", "cache", "--results", "results"]
    with tempfile.TemporaryDirectory() as folder:

        def do(*words: str) -> None:
            line = [sys.executable, "-m", "ssl_bench", *words]
            subprocess.run(line, cwd=folder, env=os.environ | own, check=True, capture_output=True)

        do("plan", *request, "--out", "plan.json")
        do("run-job", "plan.json", "--index", "1")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        do("run-job", "plan.json", "--index", "1")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    torch.set_num_threads(1)
    costs = {
        "what": "seconds of processor time on one core, float32, images of 224 pixels",
        "cpu": next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)[13:],
        "torch": torch.__version__,
        "start_seconds": round(start_seconds(), 2),
        "networks": {name: network(timm) for name, timm in NETWORKS.items()},
    }
    print(json.dumps(costs, indent=1))


if __name__ == "__main__":
    main()
