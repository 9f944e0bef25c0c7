"""Images/s on the CPU where glibc hands large blocks back to the kernel, as it does by default, and where it keeps
them.

Run: python benchmarks/memory_kept.py [PROCESSES]    (on a machine that does nothing else)

Every figure is the median over three processes of one thread each; with PROCESSES, of so many at once, added up:
clearing pages is the kernel's work, which processes do not share fairly. The network sees batches of 64 random images.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

NETWORKS = ("shufflenet_v2_x0_5", "resnet18", "vit_tiny_patch16_224")
TURNS = 3
MEASURE = """
import resource, sys, time, timm, torch, torchvision
from ssl_bench import machine
name, kept, trained = sys.argv[1], sys.argv[2] == "kept", sys.argv[3] == "trained"
if kept:
    assert machine.keep_freed_memory()
torch.set_num_threads(1)
source = torchvision.models.get_model if name in torchvision.models.list_models() else timm.create_model
network = source(name).train(trained)
images = torch.randn(64, 3, 224, 224)
def once():
    with torch.set_grad_enabled(trained):
        out = network(images)
    if trained:
        out.square().mean().backward()
once()
print("ready", flush=True)
sys.stdin.readline()
start, passes = time.perf_counter(), 0
while time.perf_counter() - start < 5:
    once()
    passes += 1
use = resource.getrusage(resource.RUSAGE_SELF)
print(64 * passes / (time.perf_counter() - start), use.ru_maxrss / 1024, flush=True)
"""


def measure(name: str, kept: str, trained: str, processes: int) -> tuple[float, float]:
    """Return the images per second of some processes at once, and the largest one's peak memory, MiB."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    line = [sys.executable, "-c", MEASURE, name, kept, trained]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    children = [subprocess.Popen(line, **pipes, env=clean | {"OMP_NUM_THREADS": "1"}) for _ in range(processes)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    said = [child.communicate("\n")[0].split() for child in children]
    return sum(float(rate) for rate, _ in said), max(float(peak) for _, peak in said)


def main() -> None:
    processes = int(sys.argv[1]) if sys.argv[1:] else 1
    load = os.getloadavg()[0]
    print(f"# {os.cpu_count()} cores, load {load:.1f} before; {processes} processes of one thread at once; images/s")
    for name in NETWORKS:
        for trained in ("evaluated", "trained"):
            turns = [
                (measure(name, "default", trained, processes), measure(name, "kept", trained, processes))
                for _ in range(TURNS)
            ]
            (before, peak), (after, kept) = (
                tuple(statistics.median(values) for values in zip(*side, strict=True))
                for side in zip(*turns, strict=True)
            )
            print(
                f"{name:<24}{trained:<11}default {before:7.1f}/s {peak:6.0f} MiB   kept {after:7.1f}/s {kept:6.0f} MiB"
                f"   {after / before:.2f} times",
                flush=True,
            )


if __name__ == "__main__":
    main()
