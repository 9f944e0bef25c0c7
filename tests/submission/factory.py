"""Bundles made through the real functions: a model that answered some tasks, with predictions that give its numbers."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
from pathlib import Path

import numpy as np

from ssl_bench import metrics
from ssl_bench.files import digest_json
from ssl_bench.predictions import Classes, Truth
from ssl_bench.results import samples as sample_files
from ssl_bench.results.record import Record, Samples
from ssl_bench.submission import assembly, sketch
from ssl_bench.submission import bundle as bundles
from ssl_bench.submission.assembly import Measured
from ssl_bench.submission.bundle import Bundle
from ssl_bench.submission.manifest import Asked, Harness
from tests.results.factory import make_metric, make_model, make_record, make_task, sha

CARD = """name = "dinov2_vits14"
organisation = "A Lab"
contact = "lab@example.org"
licence = "Apache-2.0"
weights = "https://example.org/w.safetensors"
sha256 = "{sha256}"
data = ["LVD-142M"]
labels_used = false
"""
FILE = sha("file")
ASKED = Asked("small", 1, sha("round"))


def scored(
    task: str = "cifar10", seed: int = 0, n: int = 40, right: int = 30, model: str = "dinov2_vits14"
) -> tuple[Record, bytes]:
    """Return a record, and the Parquet file of the predictions that give its numbers."""
    draw = np.random.default_rng([seed, *task.encode()])
    targets = draw.integers(0, 10, n)
    first = np.where(np.arange(n) < right, targets, (targets + 1 + seed) % 10)
    ranked = (first[:, None] + np.arange(5)) % 10
    ids = [f"{task}/{i}.png" for i in range(n)]
    said, truth = Classes(ranked, np.ones(n, dtype=np.float32)), Truth({"test": targets}, 10)
    table = said.table(ids, truth)
    content = sample_files.encode(table)
    asked = dataclasses.replace(
        make_task(task),
        classes=10,
        samples={"train": 100, "test": n},
        ids={"train": sha(task), "test": digest_json(ids)},
    )
    chances = {"top1": 0.1, "top5": 0.5}
    read = {name: dataclasses.replace(one, chance=chances[name], ceiling=1.0) for name, one in asked.metrics.items()}
    asked = dataclasses.replace(asked, metrics=read)
    values = {name: make_metric(float(metrics.get(name).score(said, truth)[0]), n) for name in ("top1", "top5")}
    named = dataclasses.replace(make_model(model), file_sha256=FILE)
    record = make_record(named, asked, "logistic_regression", seed=seed)
    digest = hashlib.sha256(content).hexdigest()
    record = dataclasses.replace(record, metrics=values, samples=Samples(digest, n, tuple(table)))
    return record, content


def make_bundle(
    *answers: tuple[Record, bytes],
    card: str = CARD,
    suite: Asked = ASKED,
    created: str = "2026-03-01T00:00:00Z",
    key: Path | None = None,
) -> Bundle:
    """Return the bundle of answers, with sketches of made-up features."""
    given = answers or (scored("cifar10"), scored("dtd"))
    sketches = {}
    for record, _ in given:
        draw = np.random.default_rng([*record.task.name.encode()])
        n = record.samples.n
        features = draw.standard_normal((n, 24))
        sketches[sketch.name(record)] = sketch.make(features, draw.integers(0, 256, (n, 32)).astype(np.uint8))
    measured = Measured(
        [record for record, _ in given], {record.samples.sha256: content for record, content in given}, sketches
    )
    return assembly.assemble(
        measured,
        suite,
        Harness("0.1.0", sha("code")),
        card=card.format(sha256=FILE).encode(),
        lock="numpy==2.0.0\n",
        invocation=("ssl-bench", "submit"),
        created=created,
        key=key,
    )


def written(path: Path, bundle: Bundle | None = None) -> Path:
    """Write a bundle and return its file."""
    bundles.write(bundle or make_bundle(), path)
    return path


def make_key(path: Path) -> Path:
    """Make an SSH key without a passphrase, and return its private file; the public one lies beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path
