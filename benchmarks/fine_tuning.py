"""Images/s of the training loop against a bare loop as in timm's train.py, in turns; on random tensors and on files.

Run: python benchmarks/fine_tuning.py [device=cuda] [batch=128] [model=NAME] [size=224] [compile=1] [precision=bfloat16]

Both train the same network by AdamW with mixup, CutMix, label smoothing and stochastic depth, as MAE's recipe does. On
a GPU that is ViT-B/16 at 224 pixels in bfloat16 (two minutes), on the CPU a ViT-Ti/16 at 64 pixels in float32 on one
thread (three minutes), counted in processor time, since others use the machine. On files (SSL_BENCH_DATA names the
real data) the harness decodes and augments by its pipeline, the bare loop by timm's loader, with as many workers.
"""

from __future__ import annotations

import dataclasses
import io
import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import timm.data
import timm.loss
import timm.optim
import torch
from PIL import Image, ImageOps
from timm.data import auto_augment
from torch import Tensor, nn

from ssl_bench import environment
from ssl_bench.datasets import containers
from ssl_bench.datasets.base import Split
from ssl_bench.images import InputSpec
from ssl_bench.images.training import TrainingAugmentation
from ssl_bench.loading import Work, augmented_batches, worker_count
from ssl_bench.training import Group, Mix, Settings, train

CLASSES = 100
TURNS = 5
POLICY = "rand-m9-mstd0.5-inc1"
ERASE = 0.25


@dataclasses.dataclass(frozen=True)
class Setup:
    """What both loops do."""

    device: str
    model: str
    size: int
    batch: int
    precision: str
    compile: bool
    warm: int
    steps: int

    def network(self) -> nn.Module:
        """Return the network with the same weights each time."""
        torch.manual_seed(0)
        network = timm.create_model(self.model, img_size=self.size, num_classes=CLASSES, drop_path_rate=0.1)
        return network.to(self.device)


Feed = Callable[[Setup], Iterator[tuple[Tensor, Tensor]]]


def bare(setup: Setup, feed: Feed) -> float:
    """Return images/s of a loop that does what timm's train.py does for a batch, and nothing else."""
    network = setup.network().train()
    call = torch.compile(network) if setup.compile else network
    optimiser = timm.optim.create_optimizer_v2(network, "adamw", lr=1e-4, weight_decay=0.05)
    mix = timm.data.Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, label_smoothing=0.1, num_classes=CLASSES)
    entropy = timm.loss.SoftTargetCrossEntropy()
    lower = setup.precision != "float32"
    clock = Clock(setup)
    for images, labels in itertools.islice(feed(setup), setup.steps):
        images, targets = mix(images, labels)
        with torch.autocast(setup.device, getattr(torch, setup.precision), enabled=lower):
            loss = entropy(call(images), targets)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        clock.tick(1)
    return clock.rate()


def harness(setup: Setup, feed: Feed) -> float:
    """Return images/s of the harness's loop."""
    network = setup.network()

    def batches(first: int, places: Sequence[int], size: int) -> Iterator[tuple[Tensor, Tensor]]:
        assert len(places) == size == setup.batch
        return feed(setup)

    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    rest = [parameter for parameter in network.parameters() if parameter.ndim < 2]
    settings = Settings(
        steps=setup.steps,
        batch=setup.batch,
        optimiser="adamw",
        rate=1e-4,
        precision=setup.precision,  # type: ignore[arg-type]
        compile=setup.compile,
        label_smoothing=0.1,
        mixup=Mix(0.8, 1.0),
    )
    clock = Clock(setup)
    groups = [Group(weights, decay=0.05), Group(rest)]
    train(network, groups, batches, settings, seed=0, advance=clock.tick, at_once=setup.batch)
    return clock.rate()


class Clock:
    """Counts from the end of the warm-up to the last step."""

    def __init__(self, setup: Setup) -> None:
        self.setup, self.done = setup, 0
        self.start = self.end = self.now()

    def now(self) -> float:
        """Return seconds: by the clock beside a GPU, else of this process and of those that have ended under it."""
        if self.setup.device == "cuda":
            torch.cuda.synchronize()
            return time.perf_counter()
        return sum(os.times()[:4])

    def tick(self, steps: int) -> None:
        """Hear of steps."""
        self.done += steps
        if self.done == self.setup.warm:
            self.start = self.now()
        if self.done == self.setup.steps:
            self.end = self.now()

    def rate(self) -> float:
        """Return images/s; processor time is that of workers too, once these have ended."""
        end = self.end if self.setup.device == "cuda" else self.now()
        return (self.setup.steps - self.setup.warm) * self.setup.batch / (end - self.start)


def tensors(setup: Setup) -> Iterator[tuple[Tensor, Tensor]]:
    """Give the same random images again and again."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(setup.batch, 3, setup.size, setup.size, generator=generator).to(setup.device)
    labels = torch.randint(CLASSES, (setup.batch,), generator=generator).to(setup.device)
    while True:
        yield images.clone(), labels  # both mix, timm in place


class Files(list[bytes]):
    """Files in memory as a source, repeated as often as asked for."""

    def read(self, index: int) -> bytes:
        return self[index % len(self)]


def photographs() -> Files:
    """Return real files, about 300 x 250 pixels."""
    listing = containers.listing(Path(os.environ["SSL_BENCH_DATA"]) / "caltech101/caltech101.tar")
    names = [name for name in listing.spans if name.endswith(".jpg")]
    return Files(listing.read(name) for name in names[:: len(names) // 500][:500])


def piped(files: Files) -> Feed:
    """Return the feed of the harness's pipeline."""

    def feed(setup: Setup) -> Iterator[tuple[Tensor, Tensor]]:
        count = setup.steps * setup.batch
        rows = np.arange(count)
        split = Split(files, rows, tuple(map(str, rows)), rows % CLASSES)
        spec = InputSpec((setup.size, setup.size))
        how = TrainingAugmentation(scale=(0.08, 1.0), auto=POLICY, erase=ERASE)
        work = Work(setup.device, setup.batch, workers=worker_count())
        labels = torch.arange(setup.batch, device=setup.device) % CLASSES
        for images in augmented_batches(split, spec, how, rows, setup.batch, 0, work):
            yield images, labels

    return feed


class Listed(torch.utils.data.Dataset[Any]):
    """The same files for timm's loader."""

    transform: Any = None

    def __init__(self, files: Files, count: int) -> None:
        self.files, self.count = files, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.open(io.BytesIO(self.files.read(index))).convert("RGB")), index % CLASSES


def posterised(image: Any, bits: int, **_: Any) -> Any:
    """Stand in for timm's own, whose 0 bits newer Pillows refuse."""
    return ImageOps.posterize(image, bits) if bits else Image.new(image.mode, image.size)


def loaded(files: Files) -> Feed:
    """Return the feed of timm's loader."""
    auto_augment.NAME_TO_OP["PosterizeIncreasing"] = posterised

    def feed(setup: Setup) -> Iterator[tuple[Tensor, Tensor]]:
        dataset = Listed(files, setup.steps * setup.batch)
        loader = timm.data.create_loader(
            dataset,
            (3, setup.size, setup.size),
            setup.batch,
            is_training=True,
            use_prefetcher=setup.device == "cuda",
            auto_augment=POLICY,
            re_prob=ERASE,
            re_mode="pixel",
            interpolation="bicubic",
            num_workers=worker_count(),
            device=torch.device(setup.device),
            persistent_workers=False,
        )
        for images, labels in loader:
            yield images.to(setup.device), labels.to(setup.device)

    return feed


def compare(title: str, setup: Setup, feeds: tuple[Feed, Feed]) -> None:
    """Print both rates, medians of turns, and the median of the turns' ratios."""
    rates: list[tuple[float, float]] = []
    for turn in range(TURNS):
        order = [(bare, feeds[0]), (harness, feeds[1])]
        found = {loop: loop(setup, feed) for loop, feed in (order if turn % 2 else order[::-1])}
        rates.append((found[bare], found[harness]))
    ratios = sorted(own / other for other, own in rates)
    first, second = (statistics.median(column) for column in zip(*rates, strict=True))
    print(
        f"{title:<16}bare {first:>8.1f}/s   harness {second:>8.1f}/s   ratio {statistics.median(ratios):.3f} "
        f"({ratios[0]:.3f} to {ratios[-1]:.3f})",
        flush=True,
    )


def main(words: list[str]) -> None:
    given = dict(word.split("=") for word in words)
    device = given.get("device") or ("cuda" if torch.cuda.is_available() else "cpu")
    gpu = device == "cuda"
    setup = Setup(
        device,
        given.get("model", "vit_base_patch16_224" if gpu else "vit_tiny_patch16_224"),
        int(given.get("size", 224 if gpu else 64)),
        int(given.get("batch", 128 if gpu else 32)),
        given.get("precision", "bfloat16" if gpu else "float32"),
        given.get("compile", "0") == "1",
        *((10, 60) if gpu else (2, 22)),
    )
    if not gpu:
        torch.set_num_threads(1)
    where = torch.cuda.get_device_name() if gpu else environment.cpu_name()
    print(
        f"# {where}; load {os.getloadavg()[0]:.1f}; torch {torch.__version__}, timm {timm.__version__}; {setup.model} "
        f"at {setup.size} pixels, batch {setup.batch}, {setup.precision}{', compiled' if setup.compile else ''}; "
        f"images/s {'by the clock' if gpu else 'of processor time'}, medians of {TURNS} turns of "
        f"{setup.steps - setup.warm} steps; ratio: of each turn, least and largest in brackets"
    )
    compare("random tensors", setup, (tensors, tensors))
    if "SSL_BENCH_DATA" in os.environ:
        files = photographs()
        compare("files", setup if gpu else dataclasses.replace(setup, warm=0), (loaded(files), piped(files)))


if __name__ == "__main__":
    main(sys.argv[1:])
