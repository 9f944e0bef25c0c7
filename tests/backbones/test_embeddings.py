"""Features computed elsewhere: a table by image digest scores as the network that made it would."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file

import ssl_bench
from ssl_bench import backbones, datasets, model_zoo, tasks
from ssl_bench.backbones.base import Backbone, LoadContext
from ssl_bench.datasets.base import digest_image
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.settings import Settings

DIGESTS = np.random.default_rng(0).integers(0, 256, (7, 32), dtype=np.uint8)
ROWS = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)


def load(path: Path) -> Backbone:
    card = model_zoo.get(f"embeddings:{path}")
    return backbones.load(card, LoadContext(model_zoo.weights_state(card).path))


def save(path: Path, digests: NDArray[np.uint8] = DIGESTS, rows: NDArray[Any] = ROWS) -> Path:
    if path.suffix == ".npz":
        np.savez(path, digest=digests, features=rows)
    elif path.suffix == ".safetensors":
        save_file({"digest": digests, "features": rows}, path)
    else:
        hexes = [row.tobytes().hex() for row in digests]
        pq.write_table(pa.table({"digest": hexes, "features": list(rows), "text": ["a"] * len(rows)}), path)
    return path


@pytest.mark.parametrize("name", ["a.npz", "a.safetensors", "a.parquet"])
def test_a_row_belongs_to_an_image(tmp_path: Path, name: str) -> None:
    """In every format an image gets its own row, whatever the order of the table; the digest ignores the order too."""
    backbone = load(save(tmp_path / name))
    asked = DIGESTS[[5, 0, 5, 2]]
    assert torch.equal(backbone.recall(asked).pooled, torch.from_numpy(ROWS[[5, 0, 5, 2]]))
    turned = load(save(tmp_path / f"turned{name}", DIGESTS[::-1].copy(), ROWS[::-1].copy()))
    assert turned.weights_digest() == backbone.weights_digest()
    assert load(save(tmp_path / f"other{name}", rows=ROWS + 1)).weights_digest() != backbone.weights_digest()


def test_a_table_scores_as_its_network(own_settings: Settings, tmp_path: Path) -> None:
    """Pixels written into a table give the very metrics of pixels, and no image passes a network."""
    card = tasks.get("digits")
    splits = datasets.load(card, own_settings.data).values()
    images = [split.read(i) for split in splits for i in range(len(split))]
    table = {digest_image(raw): np.asarray(raw, dtype=np.float32).reshape(-1) / 255 for raw in images}
    digests = np.frombuffer(b"".join(table), dtype=np.uint8).reshape(-1, 32)
    path = save(tmp_path / "pixels.npz", digests, np.stack(list(table.values())))
    folders = {name: str(getattr(own_settings, name)) for name in ("cache", "results", "weights")}
    models = [f"embeddings:{path}", "pixels,size=8,channels=grey"]
    outcome = ssl_bench.run(models, task=["digits"], protocol=["knn"], device="cpu", progress="none", **folders)
    mine, theirs = outcome.written
    assert mine.metrics["top1"].value == theirs.metrics["top1"].value
    assert mine.model.arch == {"class": "Embeddings"}


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    """Absent rows, doubled images, wrong shapes, pickles and bare arrays are one line each."""
    path = save(tmp_path / "a.npz")
    with pytest.raises(UsageError, match=r"no row for 1 of 2 images, such as .* 0{64}"):
        load(path).recall(np.stack([DIGESTS[0], np.zeros(32, np.uint8)]))
    with pytest.raises(UsageError, match="no other input"):
        load(path).forward(torch.zeros(1, 3, 8, 8), "embedding")
    with pytest.raises(UsageError, match="untrained"):
        backbones.load(model_zoo.get(f"embeddings:{path}"), LoadContext(path, untrained=True))
    for digests, rows, said in (
        (DIGESTS[[0, 0, 1, 2, 3, 4, 5]], ROWS, "names 1 images twice"),
        (DIGESTS[:5], ROWS, "for 5 digests"),
        (DIGESTS, ROWS.astype(int), "must be floats"),
        (DIGESTS, ROWS * np.float32("nan"), "no numbers"),
        (DIGESTS[:, :20], ROWS, "cannot be read"),
    ):
        with pytest.raises(UsageError, match=said):
            load(save(path, digests, rows))
    np.savez(path, digest=np.array([{}], dtype=object), features=ROWS)
    with pytest.raises(UsageError, match="cannot be read"):
        load(path)
    np.savez(path, features=ROWS)
    with pytest.raises(UsageError, match="no 'digest'"):
        load(path)
    np.save(tmp_path / "a.npy", ROWS)
    with pytest.raises(UsageError, match=r"none of \.npz"):
        load(tmp_path / "a.npy")
    with pytest.raises(MissingError, match=r"absent\.npz are not on this machine"):
        load(tmp_path / "absent.npz")


def test_a_backbone_that_computes_recalls_nothing() -> None:
    """Only a backbone that says so is asked by digest."""
    backbone = backbones.load(dataclasses.replace(model_zoo.get("pixels")))
    assert not backbone.recalls
    with pytest.raises(NotImplementedError, match="PixelsBackbone computes features from images"):
        backbone.recall(DIGESTS)
