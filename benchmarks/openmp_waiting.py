"""How long OpenMP's threads should wait actively: images/s of a CIFAR ResNet-20 alone, and beside two busy processes.

Run: python benchmarks/openmp_waiting.py    (on a machine that does nothing else)
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

SETTINGS = (
    {"OMP_WAIT_POLICY": "active"},
    {"GOMP_SPINCOUNT": "100000"},
    {"GOMP_SPINCOUNT": "10000"},
    {"GOMP_SPINCOUNT": "1000"},
    {"OMP_WAIT_POLICY": "passive"},
)
MEASURE = """
import time, torch
from ssl_bench import backbones, model_zoo
backbone = backbones.load(model_zoo.get("random:cifar_resnet20"))
images = torch.randn(64, 3, 32, 32)
for _ in range(10):
    start = time.perf_counter()
    backbone.forward(images, backbone.default_pooling)
print(64 / (time.perf_counter() - start))
"""
BUSY = "while True: pass"


def images_per_second(setting: dict[str, str]) -> float:
    """Return the median over five processes of the rate of the last of ten batches."""
    line = [sys.executable, "-c", MEASURE]
    runs = [
        subprocess.run(line, env=dict(os.environ) | setting, capture_output=True, text=True, check=True)
        for _ in range(5)
    ]
    return statistics.median(float(run.stdout) for run in runs)


def main() -> None:
    alone = [images_per_second(setting) for setting in SETTINGS]
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(2)]
    try:
        beside = [images_per_second(setting) for setting in SETTINGS]
    finally:
        for other in others:
            other.kill()
    print(f"{os.cpu_count()} cores; images/s{'alone':>24}{'beside two':>14}")
    for setting, one, two in zip(SETTINGS, alone, beside, strict=True):
        name = " ".join(f"{key}={value}" for key, value in setting.items())
        print(f"{name:<28}{one:>14.0f}{two:>14.0f}")


if __name__ == "__main__":
    main()
