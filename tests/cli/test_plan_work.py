"""What a plan says of the work of each protocol, against the images that then pass the network; and what is skipped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.backbones.pixels import PixelsBackbone
from ssl_bench.results.store import Results
from tests import counting
from tests.cli.conftest import Command
from tests.cli.test_run import PIXELS

MODEL = "module:tests.counting:network,size=8,channels=grey,mean=[0.0],std=[1.0]"


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each forward pass of the pixels had."""
    found: list[int] = []
    forward = PixelsBackbone.forward

    def counted(self: PixelsBackbone, images: Any, pooling: str) -> Any:
        found.append(len(images))
        return forward(self, images, pooling)

    monkeypatch.setattr(PixelsBackbone, "forward", counted)
    return found


SWEEP = "linear_sweep,iterations=5,batch=16,learning_rates=0.1"


@pytest.mark.parametrize(
    "protocol",
    [
        "knn",
        "logistic_regression,c_steps=2",
        "label_free,c_steps=1,c_low=-2",
        SWEEP,
        "linear_mae,epochs=2,warmup=1,batch=100",
        "linear_mae,epochs=2,warmup=1,batch=100,crops=cached",
    ],
)
def test_a_plan_counts_what_passes_the_network(protocol: str, command: Command, passed: list[int]) -> None:
    """Views and crops are in the count of a plan, and a run passes just as many; what is kept does not count again,
    and crops always do."""
    words = ("-m", PIXELS, "-t", "digits", "-p", "knn,k=1,also=1", "--limit", 2, "--seeds", 0)
    assert command("run", *words).code == 0
    words = ("-m", PIXELS, "-t", "digits", "-p", protocol, "--limit", 300)

    def planned() -> tuple[str, int]:
        [row] = json.loads(command("plan", *words, "--seeds", 0, "--json").out)
        return row["state"], row["images"]

    state, count = planned()
    passed.clear()
    said = command("run", *words, "--seeds", 0)
    assert said.code == 0, said.err
    assert sum(passed) == count
    assert state == ("extract" if count else "probe")
    assert planned() == ("done", 0)
    [row] = json.loads(command("plan", *words, "--seeds", 1, "--json").out)
    again = {
        "label_free": 0,
        "logistic_regression": 0,
        "linear_sweep": 80,
        "linear_mae": 0 if "cached" in protocol else 600,
    }
    if protocol != "knn":
        assert row["images"] == again[protocol.partition(",")[0]]


def test_two_protocols_of_one_view_count_once(command: Command) -> None:
    """Jobs that share views count them in the first of them alone."""
    words = ("-m", PIXELS, "-t", "digits", "-p", "label_free", "-p", "knn", "--seeds", 0)
    assert command("run", *words[:4], "-p", "knn,k=1,also=1", "--limit", 2).code == 0
    first, second = json.loads(command("plan", *words, "--json").out)
    assert (first["images"], second["images"]) == (4 * (1257 + 360) - 4, 0)


def test_what_cannot_be_asked_is_skipped_with_a_reason(command: Command, tmp_path: Path) -> None:
    """A recipe that a task is too small for is skipped beside others that it is not, on a first run and in a plan; the
    exit code is 0, and 2 where nothing else was asked."""
    words = ("-m", PIXELS, "-t", "digits", "-p", "episodic,ways=11", "-p", "knn", "--seeds", 0)
    for _ in range(2):
        said = command("run", *words)
        assert said.code == 0, said.err
        assert "skipped: " in said.err
        assert "need 11 classes of 20 test samples or more, and there are 10" in said.err
        assert "1 skipped, 0 failed" in said.err
    assert len(Results(Path("results")).records()) == 1
    rows = json.loads(command("plan", *words, "--json").out)
    assert [row["state"] for row in rows] == ["skip", "done"]
    assert "need 11 classes" in rows[0]["reason"]
    assert "1 are skipped" in command("plan", *words).err
    assert command("run", *words[:6], "--seeds", 0).code == 2


@pytest.mark.parametrize(
    ("protocol", "says"),
    [
        ("knn,k=2000", "train holds 1257 samples"),
        ("few_shot_ridge,shots=500", "training samples"),
        ("few_shot_logistic,shots=500", "training samples"),
        ("episodic,shots=40", "need 5 classes of 55 test samples"),
    ],
)
def test_nothing_is_extracted_for_what_cannot_be_asked(protocol: str, says: str, command: Command) -> None:
    """Too small a task is found out before an image passes the network."""
    counting.seen = 0
    said = command("run", "-m", MODEL, "-t", "digits", "-p", protocol, "--seeds", 0)
    assert said.code == 2
    assert says in said.err
    assert counting.seen == 0


def test_a_plan_says_how_large_features_will_be(command: Command) -> None:
    """Once a model has extracted, a plan knows the bytes of an image's features and how long one takes; before, not."""
    words = ("-m", PIXELS, "-t", "digits", "-p", "knn")
    [row] = json.loads(command("plan", *words, "--json").out)
    assert (row["bytes"], row["seconds"]) == (None, None)
    assert command("run", *words, "--limit", 100).code == 0
    [row] = json.loads(command("plan", *words, "--json").out)
    assert (row["images"], row["bytes"]) == (1417, 1417 * 64 * 4)
    assert row["seconds"] > 0
    assert "0.4 MB of features" in command("plan", *words).err
