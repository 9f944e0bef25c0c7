"""Peak memory and time of reading dSprites (737,280 images) and Patch Camelyon (327,680), at their true sizes.

Run: python benchmarks/large_sets.py [dsprites] [pcam] [FOLDER]    (15 GB of disk for Patch Camelyon, 0.1 for dSprites)

The files are generated in the originals' layouts, since neither may be carried here: dSprites with other shapes,
Patch Camelyon with images that hold little but their number. Every line is a process of its own.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ssl_bench import datasets, environment, tasks
from ssl_bench.datasets import index, npz, torchvision

DSPRITES = "dsprites/dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
PCAM = {"train": 262_144, "valid": 32_768, "test": 32_768}
SIZE = 96 * 96 * 3


def make_dsprites(root: Path) -> None:
    """Write discs, lozenges and crosses at 6 scales, 40 turns and 32 x 32 places, in the original's order and keys."""
    path = root / DSPRITES
    path.parent.mkdir(parents=True, exist_ok=True)
    counts = (1, 3, 6, 40, 32, 32)
    classes = np.indices(counts).reshape(6, -1).T.copy()
    y, x = np.mgrid[-64:64, -64:64]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in {
            "metadata": np.array({"title": "a replica"}, dtype=object),
            "latents_classes": classes,
            "latents_values": classes.astype(np.float64),
        }.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)
        with archive.open("imgs.npy", "w", force_zip64=True) as file:
            head = {"descr": "|u1", "fortran_order": False, "shape": (len(classes), 64, 64)}
            np.lib.format.write_array_header_1_0(file, head)
            for shape, scale, turn in np.ndindex(counts[1:4]):
                angle, radius = turn / 40 * 2 * np.pi, 6 + scale
                u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
                inside = ((u / 1.4) ** 2 + v**2 < radius**2, abs(u) + 2 * abs(v) < radius, (abs(u) < 3) | (abs(v) < 5))
                drawn = (inside[shape] & (np.maximum(abs(u), abs(v)) < radius)).astype(np.uint8)
                windows = np.lib.stride_tricks.sliding_window_view(drawn, (64, 64))[16:48, 16:48]
                file.write(np.ascontiguousarray(windows[::-1, ::-1].transpose(1, 0, 2, 3)).tobytes())


def make_pcam(root: Path) -> None:
    """Write the three splits' images and labels as HDF5 files, and the training images packed as they are published."""
    import h5py

    (root / "torchvision/pcam").mkdir(parents=True, exist_ok=True)
    for split, count in PCAM.items():
        path = root / f"torchvision/pcam/camelyonpatch_level_2_split_{split}_x.h5"
        with h5py.File(path, "w") as file:
            images = file.create_dataset("x", (count, 96, 96, 3), "u1", chunks=(16, 96, 96, 3))
            block = np.zeros((4096, 96, 96, 3), np.uint8)
            for start in range(0, count, len(block)):
                block[:, 0, 0, 0] = start // len(block)
                block[:, 0, 0, 1:] = np.arange(len(block)).astype("<u2").view(np.uint8).reshape(-1, 2)
                images[start : start + len(block)] = block
        with h5py.File(str(path).replace("_x.h5", "_y.h5"), "w") as file:
            file["y"] = (np.arange(count) % 2).astype(np.uint8).reshape(-1, 1, 1, 1)
    path = root / "torchvision/pcam/camelyonpatch_level_2_split_train_x.h5"
    with path.open("rb") as source, gzip.open(f"{path}.gz", "wb", compresslevel=1) as packed:
        shutil.copyfileobj(source, packed)


def unpack_pcam(root: Path) -> int:
    """Unpack the published training images as `ssl-bench fetch` does."""
    path = root / "torchvision/pcam/camelyonpatch_level_2_split_train_x.h5"
    path.unlink()
    torchvision.unpack(Path(f"{path}.gz"), path)
    return PCAM["train"]


def index_task(name: str) -> Callable[[Path], int]:
    """Return what indexes a card's task: the published 1,000 training images and the whole test set."""

    def work(root: Path) -> int:
        card = tasks.get(name)
        with tempfile.TemporaryDirectory() as cache:
            found = index.build(card, root, Path(cache))
        return sum(found.samples.values())

    return work


def index_whole(name: str) -> Callable[[Path], int]:
    """Return what reads and hashes every image of a card's source."""

    def work(root: Path) -> int:
        card = tasks.get(name)
        splits = datasets.reader(card.reader).load(card.data, root)
        return sum(len(index.content(split)) for split in splits.values())

    return work


def held(root: Path) -> int:
    """Index dSprites as it was before: with all images of the file in memory."""
    npz.HELD = 2**62
    return index_task("vtab1k_dsprites_location")(root)


DSPRITES_WORK = {
    "dSprites, the task's images indexed": index_task("vtab1k_dsprites_location"),
    "dSprites, every image indexed": index_whole("vtab1k_dsprites_location"),
    "dSprites, the task's, array held": held,
}
PCAM_WORK = {
    "Patch Camelyon, train unpacked": unpack_pcam,
    "Patch Camelyon, the task's images indexed": index_task("vtab1k_patch_camelyon"),
    "Patch Camelyon, every image indexed": index_whole("vtab1k_patch_camelyon"),
}
WORK = {**DSPRITES_WORK, **PCAM_WORK}


def peak_mib() -> float:
    """Return the most resident memory that this process has held; what getrusage says counts its parent's too."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert found, "this benchmark runs on Linux"
    return int(found[1]) / 1024


def measure(name: str, root: Path) -> None:
    """Do one piece of work in this process and print its line."""
    before, start = peak_mib(), time.perf_counter()
    images = WORK[name](root)
    seconds = time.perf_counter() - start
    print(f"{name:<44}{images:>9,} images {seconds:>8.1f} s   peak {peak_mib():>7.0f} MiB, {before:.0f} before")


def main(words: list[str]) -> None:
    if words[:1] == ["--measure"]:
        measure(words[1], Path(words[2]))
        return
    sets = {"dsprites": (make_dsprites, DSPRITES_WORK), "pcam": (make_pcam, PCAM_WORK)}
    chosen = [word for word in words if word in sets] or list(sets)
    where = next((word for word in words if word not in sets), None)
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"# {environment.cpu_name()}, {load}; NumPy {np.__version__}", flush=True)
    for name in chosen:
        make, work = sets[name]
        with tempfile.TemporaryDirectory(dir=where) as folder:
            make(Path(folder))
            for piece in work:
                subprocess.run([sys.executable, __file__, "--measure", piece, folder], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
