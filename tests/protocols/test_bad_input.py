"""What every protocol says of input that it cannot use: one clear line and exit 2, or a value that is documented."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from ssl_bench import protocols
from ssl_bench.datasets.base import digest_image
from ssl_bench.results.store import Results
from ssl_bench.tasks import DENSE
from tests.cli.conftest import Command, command
from tests.protocols import faulty

__all__ = ["command"]
FEW = "c_low=-1,c_high=0,c_steps=2"
RECIPES = {
    "attentive_probe": "iterations=4,warmup=1,batch=8,learning_rates=0.01,weight_decays=0.0005",
    "clustering": "restarts=1",
    "episodic": "episodes=4,ways=2,shots=2,also=1,queries=2",
    "few_shot_logistic": f"shots=2,also=1,{FEW}",
    "few_shot_ridge": "shots=2,also=1",
    "fine_tune": "recipe=kornblith,rate=0.1,decay=0,steps=4,batch=8",
    "knn": "k=5,also=1",
    "label_free": "c_low=-2,c_steps=1",
    "linear_mae": "epochs=2,warmup=1,batch=8",
    "linear_sweep": "iterations=4,batch=8,learning_rates=0.1",
    "logistic_regression": FEW,
    "low_shot": f"fraction=0.5,also=0.25,{FEW}",
    "retrieval": "",
    "robustness": FEW,
    "zero_shot": "",
}
CARD = """
title = "Dots"
reader = "npz"
classes = 3
kind = "{kind}"
metric = "{metric}"
class_names = ["low", "middle", "high"]
[data]
path = "dots.npz"
splits = {{ train = {{ images = "x", labels = "y" }}, test = {{ images = "tx", labels = "ty" }} }}
[splits]
train = "{train}"
val = "{val}"
test = "{test}"
"""
SHIFT = """
[shifts.other]
data = { path = "dots.npz", splits = { test = { images = "sx", labels = "sy" } } }
"""


def task(folder: Path, fault: str, protocol: str, metric: str = "top1") -> Path:
    """Write 30 training and 18 test images of three classes, and a card that asks them, with one fault."""
    generator = np.random.default_rng(0)

    def images(labels: np.ndarray) -> np.ndarray:
        return (generator.integers(0, 80, (len(labels), 8, 8)) + 80 * labels[:, None, None]).astype(np.uint8)

    y, ty = np.repeat([0, 1, 2], 10), np.repeat([0, 1, 2], 6)
    arrays = {"x": images(y), "y": y, "tx": images(ty), "ty": ty, "sx": images(ty), "sy": ty}
    if fault == "absent":
        arrays["y"] = np.where(y == 2, 1, y)
    if fault == "one_class":
        arrays["y"] = np.zeros_like(y)
    if fault == "range":
        arrays["y"] = np.where(y == 2, 3, y)
    (folder / "data").mkdir(exist_ok=True)
    np.savez(folder / "data" / "dots.npz", **arrays)
    kind, metric = ("robustness", "shift_top1") if protocol == "robustness" else ("classification", metric)
    splits = {"train": "train", "val": "", "test": "test"}
    if fault.startswith("no_"):
        splits[fault.removeprefix("no_")] = "train[:0]"
    text = CARD.format(kind=kind, metric=metric, **splits) + (SHIFT if protocol == "robustness" else "")
    path = folder / "dots.toml"
    path.write_text(text)
    return path


ALL = frozenset(RECIPES)
NO_LABELS_OF_TRAIN = {"clustering", "episodic", "label_free", "retrieval", "zero_shot"}
"""Protocols that look at no label of train: what is wrong with those changes nothing."""
BALANCED = {"few_shot_logistic", "few_shot_ridge"}
REFUSED = {
    "fine": {},
    "absent": dict.fromkeys(BALANCED, "class 2 has no training sample"),
    "one_class": dict.fromkeys(ALL - NO_LABELS_OF_TRAIN - {"knn"}, "needs two classes")
    | dict.fromkeys(BALANCED, "class 1 has no training sample"),
    "nan": dict.fromkeys(ALL, "NaN or infinite"),
    "inf": dict.fromkeys(ALL, "NaN or infinite"),
    "zero": {
        "clustering": "3 clusters were asked for, and only 1 of the 18 features differ",
        "episodic": "18 of 18 features of the test split have length 0",
        "label_free": "all features are the same",
        "retrieval": "18 of 18 features of the test split have length 0",
        "zero_shot": "18 of 18 test image vectors are zero",
    },
    "range": dict.fromkeys(ALL, r"train has the label 3 .* outside 0 to 2"),
    "no_train": dict.fromkeys(ALL, r"the split train\[:0\] asks for what is not there"),
    "no_val": dict.fromkeys(ALL, r"the split train\[:0\] asks for what is not there"),
    "no_test": dict.fromkeys(ALL, r"the split train\[:0\] asks for what is not there"),
}
"""Fault to the protocols that refuse it, and what they say. The others give a value: a class that train lacks is never
right, one class alone is always the nearest, and features that say nothing give what chance gives, since a network that
has collapsed is a result."""


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("protocol", RECIPES)
def test_a_line_or_a_value(
    protocol: str, fault: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault gives one line, exit 2 and no record, or a value that is what the documentation says."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    card = task(tmp_path, fault, protocol)
    broken = fault if fault in ("nan", "inf", "zero") else ""
    (tmp_path / "faulty.toml").write_text(faulty.CARD.format(fault=broken))
    asked = ",".join(word for word in (protocol, RECIPES[protocol]) if word)
    said = command("run", "-m", tmp_path / "faulty.toml", "-t", card, "-p", asked, "--seeds", 0)
    records = Results(tmp_path / "results").records()
    if protocol in REFUSED[fault]:
        assert said.code == 2, said.err
        assert not records
        lines = [line for line in said.err.splitlines() if line.startswith(("failed:", "skipped:", "error:"))]
        assert len(lines) == 1
        assert re.search(REFUSED[fault][protocol], lines[0]), lines[0]
        return
    assert said.code == 0, said.err
    [record] = records
    assert all(math.isfinite(value.value) for value in record.metrics.values())
    if fault == "zero" or (fault, protocol) == ("one_class", "knn"):
        assert record.headline.value == pytest.approx(1 / 3)
    if fault == "absent" and protocol not in NO_LABELS_OF_TRAIN:
        assert record.headline.value <= 2 / 3


def test_every_protocol_is_asked() -> None:
    """The table has a row for every protocol that asks of whole images."""
    of_images = {name for name in protocols.names() if set(protocols.get(name).kinds) - set(DENSE)}
    assert set(RECIPES) == of_images


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("knn,k=31", r"k=31, but train holds 30 samples; ask for knn,k=30 or less"),
        ("few_shot_logistic,shots=11", r"shots=11, but class 0 has 10 training samples"),
        ("few_shot_ridge,shots=11", r"shots=11, but class 0 has 10 training samples"),
        ("episodic,ways=2,shots=5,queries=2", r"need 2 classes of 7 test samples or more, and there are 0"),
        ("low_shot,fraction=0.01", r"less than half an image of every class"),
        ("low_shot,select=val", "has no val to choose C on"),
        ("clustering,k=19", "19 clusters were asked for"),
        ("linear_mae,batch=31", "fewer than one batch of 31"),
        ("robustness", "cannot ask the task 'dots'"),
    ],
)
def test_more_than_there_is(
    asked: str, says: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a recipe asks for beyond what the task has is one line and exit 2."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    card = task(tmp_path, "fine", "")
    (tmp_path / "faulty.toml").write_text(faulty.CARD.format(fault=""))
    said = command("run", "-m", tmp_path / "faulty.toml", "-t", card, "-p", asked, "--seeds", 0)
    assert said.code == 2
    assert re.search(says, said.err)
    assert not Results(tmp_path / "results").records()


@pytest.mark.parametrize("protocol", ["linear_mae", "linear_sweep", "label_free", "episodic"])
def test_features_without_a_network(
    protocol: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Features that came without a network are refused where crops or turned images are asked for."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    card = task(tmp_path, "fine", "")
    with np.load(tmp_path / "data" / "dots.npz") as arrays:
        every = [*arrays["x"], *arrays["tx"]]
    digests = np.stack([np.frombuffer(digest_image(image), dtype=np.uint8) for image in every])
    np.savez(tmp_path / "table.npz", digest=digests, features=np.random.default_rng(0).normal(size=(48, 8)))
    (tmp_path / "table.toml").write_text(
        f'title = "Table"\nadapter = "embeddings"\n[weights]\nfile = "{tmp_path / "table.npz"}"\n'
    )
    asked = f"{protocol},{RECIPES[protocol]}" + (",copies=2" if protocol == "episodic" else "")
    said = command("run", "-m", tmp_path / "table.toml", "-t", card, "-p", asked, "--seeds", 0)
    assert said.code == 2
    assert "came without" in said.err
