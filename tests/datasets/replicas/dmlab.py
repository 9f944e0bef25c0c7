"""dmlab.tar.gz: shards of TFRecord files, with no folder around them."""

from __future__ import annotations

from pathlib import Path

from tests.datasets.replicas import Truth, pack, pictures
from tests.datasets.test_tfrecord import record, sample

CARDS = ("vtab1k_dmlab", "vtab_dmlab")
SPLITS = {"train": "train[:8]", "val": "val[:8]", "test": "test"}


def build(place: Path) -> Truth:
    """Write the archive: two shards of six frames per split."""
    images, files, truth = iter(pictures(36)), {}, Truth()
    for split, name in (("train", "train"), ("val", "validation"), ("test", "test")):
        truth[split] = {f"{name}-{i:04d}.png": (i % 6, next(images)) for i in range(12)}
        shards = [b"", b""]
        for i, (key, (label, image)) in enumerate(truth[split].items()):
            shards[i // 6] += record(sample(key, image, label))
        files |= {f"dmlab-{name}.tfrecord-{i:05d}-of-00002": shard for i, shard in enumerate(shards)}
    pack(place / "dmlab.tar.gz", files)
    return truth
