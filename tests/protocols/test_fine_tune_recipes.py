"""The recipes of fine-tuning: numbers as published, by the size of the network, and what is recorded of them."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ssl_bench import protocols
from ssl_bench.errors import UsageError
from ssl_bench.protocols import _recipes
from ssl_bench.protocols.fine_tune import Protocol
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings
from tests.cli.conftest import Command, command

__all__ = ["command"]
KEEPING = """
import functools, sys
from ssl_bench import cli
from ssl_bench.protocols import _tuning
_tuning.train = functools.partial(_tuning.train, keep_seconds=0)
cli.main()
"""
"""The command line, with a state written after every step."""
SIZES = {"S": (12, 384), "B": (12, 768), "L": (24, 1024), "H": (32, 1280)}
PUBLISHED: dict[str, dict[str, tuple[float, float, float, float, float]]] = {
    # rate at the recipe's batch, layer decay, drop path, epochs, epochs of warm-up
    "mae": {
        "B": (2e-3, 0.65, 0.1, 100, 5),
        "L": (4e-3, 0.75, 0.2, 50, 5),
        "H": (4e-3, 0.75, 0.3, 50, 5),
    },
    "beit": {"B": (4e-3, 0.65, 0.1, 100, 20), "L": (1e-3, 0.75, 0.2, 50, 5)},
    "dinov2_style": {
        "S": (4e-3, 0.75, 0.1, 200, 20),
        "B": (4e-3, 0.65, 0.2, 100, 20),
        "L": (4e-3, 0.75, 0.4, 50, 5),
    },
}


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, sizes in PUBLISHED.items() for size in sizes])
def test_numbers_by_size(name: str, size: str) -> None:
    """Rate, layer decay, drop path and epochs of each size are those that the authors give (FINETUNE.md of
    facebookresearch/mae; get_started_for_image_classification.md of microsoft/unilm; evaluation/README.md of
    bytedance/ibot)."""
    recipe = _recipes.recipe(name, depth=SIZES[size][0], width=SIZES[size][1])
    rate = recipe.rate[0] * recipe.batch / 256
    expected = PUBLISHED[name][size]
    assert (rate, recipe.layer_decay, recipe.drop_path, recipe.epochs, recipe.warmup) == pytest.approx(expected)
    assert (recipe.batch, recipe.decay, recipe.least_rate) == (1024, (0.05,), 1e-6)
    mixed = (recipe.auto, recipe.erase, recipe.mixup, recipe.cutmix, recipe.smoothing)
    assert mixed == ("rand-m9-mstd0.5-inc1", 0.25, 0.8, 1.0, 0.1)


def test_grids_are_those_of_their_authors() -> None:
    """kornblith has four rates and five decays over them, vtab1k_full four of each; both as their codes list them."""
    kornblith, vtab = _recipes.recipe("kornblith"), _recipes.recipe("vtab1k_full")
    assert kornblith.rate == pytest.approx([10**-k for k in (1, 2, 3, 4)])
    assert kornblith.decay == pytest.approx([0, 1e-6, 1e-5, 1e-4, 1e-3])
    assert (kornblith.steps, kornblith.batch, kornblith.momentum, kornblith.decay_by_rate) == (5000, 64, 0.9, True)
    assert sorted(vtab.rate) == [1e-4, 5e-4, 1e-3, 5e-3]
    assert vtab.rate[0] == min(vtab.rate), "of equal ones the smallest rate is taken"
    assert sorted(vtab.decay) == [0.0, 1e-4, 1e-3, 1e-2]
    assert len(protocols.get("fine_tune,recipe=vtab1k_full").seeds) == 5


@pytest.mark.parametrize("name", _recipes.PUBLISHED)
def test_every_number_can_be_given(name: str) -> None:
    """Each field of a recipe is a field of the protocol, and what is given takes the recipe's place."""
    fields = set(vars(_recipes.recipe(name))) - {"source"}
    assert fields <= set(vars(protocols.get("fine_tune")))
    protocol = protocols.get(f"fine_tune,recipe={name},epochs=3,warmup=1,batch=32,auto=none,rate=0.5,decay=0.1")
    assert isinstance(protocol, Protocol)
    found = protocol.resolved()
    assert (found.epochs, found.steps, found.batch, found.auto, found.rate) == (3.0, 0, 32, "", (0.5,))


def test_what_is_asked_is_what_is_recorded() -> None:
    """A record's recipe holds the recipe's name, the variant, and what was given in place of its numbers."""
    assert protocols.recipe(protocols.get("fine_tune")) == {"recipe": "mae", "variant": "strict"}
    found = protocols.recipe(protocols.get("fine_tune,recipe=beit,epochs=30,rate=1e-3+1e-4"))
    assert found == {"recipe": "beit", "variant": "strict", "epochs": 30.0, "rate": [1e-3, 1e-4]}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("recipe=maee", "Did you mean mae?"),
        ("epochs=0", "epochs must be from 1e-06"),
        ("epochs=5", "a warm-up of 5 epochs leaves nothing of 5; give warmup too"),
        ("batch=0", "batch must be from 1"),
        ("rate=0", "rate must be above 0"),
        ("decay=-1", "decay 0 or more"),
        ("drop_path=1", "drop_path must be from 0 to 0.99"),
        ("layer_decay=1.5", "layer_decay must be from 1e-06 to 1"),
        ("auto=autoaugment", "auto is RandAugment in timm's words or none"),
        ("fraction=0.1,shots=1", "give fraction or shots, not both"),
        ("fraction=2", "fraction must be above 0 and at most 1"),
        ("shots=0", "shots must be 1 or more"),
        ("recipe=kornblith,variant=paper", "this recipe chooses by val"),
        ("rate=0.1+0.2,variant=paper", "this recipe chooses by val"),
        ("pooling=max", "not one of"),
    ],
)
def test_mistakes(text: str, says: str) -> None:
    """A recipe that cannot be is refused in one line, before anything is read."""
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        protocols.get(f"fine_tune,{text}")
    assert "\n" not in str(caught.value)


def test_what_passes_the_network() -> None:
    """A plan counts steps times batch, for each candidate and once more, and what is looked at."""
    sizes = {"train": 1000, "val": 200, "test": 500}
    passes = protocols.get("fine_tune,epochs=2,warmup=1,batch=100").passes(sizes)
    assert (passes.trained, passes.crops) == (2000, 500 + 200)
    passes = protocols.get("fine_tune,recipe=kornblith,rate=0.1+0.01,decay=0,steps=10").passes(sizes)
    assert (passes.trained, passes.crops) == (3 * 640, 500 + 2 * 200)


def test_models_without_a_network_are_skipped(command: Command) -> None:
    """The plan says why pixels cannot be fine-tuned; a run of them alone exits with 2, and beside others with 0."""
    words = ("-m", "pixels,size=8,channels=grey", "-t", "digits", "-p", "fine_tune,steps=2,batch=4,warmup=0")
    told = command("plan", *words, "--seeds", 0)
    assert "skip" in told.out
    assert "has none to train" in told.out + told.err
    done = command("run", *words, "--seeds", 0)
    assert (done.code, done.err.count("has none to train")) == (2, 1)
    done = command("run", *words, "-m", "digits_vit", "-m", "majority", "--seeds", 0)
    assert (done.code, done.err.count("has none to train")) == (0, 1)
    assert "2 run, 1 skipped" in done.err


def test_a_run_writes_one_record_and_keeps_no_state(command: Command, tmp_path: Any) -> None:
    """The record has recipe, curve and cost; what was kept to go on from is gone with it."""
    words = ("run", "-m", "digits_vit", "-t", "digits", "-p", "fine_tune,steps=3,batch=8,warmup=0", "--seeds", 0)
    done = command(*words)
    assert done.code == 0, done.err
    shown = command("results", "show", done.out.split()[-1])
    for word in ("resolved", "images_trained", "train_loss", "facebookresearch/mae"):
        assert word in shown.out
    assert not list((tmp_path / "cache" / "training").glob("*/*"))
    assert "1 records present" in command(*words).err


@pytest.mark.slow
def test_a_killed_command_ends_with_the_same_record(own_settings: Settings, tmp_path: Path) -> None:
    """Killed by SIGKILL in the middle of training and asked again, a command writes the record of one left alone."""
    cache = tmp_path / "killed" / "cache"
    words = [sys.executable, "-c", KEEPING, "run", "-m", "digits_vit", "-t", "digits", "--seeds", "0"]
    words += ["-p", "fine_tune,steps=60,batch=16,warmup=0,rate=0.01", "--device", "cpu", "--workers", "0"]

    def places(name: str) -> list[str]:
        return ["--results", str(tmp_path / name / "results"), "--cache", str(tmp_path / name / "cache")]

    first = subprocess.Popen([*words, *places("killed")], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not list(cache.glob("training/*/run.pt")):
        assert first.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    first.kill()
    assert first.wait() == -9, "it had ended before it was killed"
    for name in ("killed", "alone"):
        subprocess.run([*words, *places(name)], check=True, capture_output=True)
    one, other = (Results(tmp_path / name / "results").records()[0] for name in ("killed", "alone"))
    assert one.record_id == other.record_id
    assert one.samples.sha256 == other.samples.sha256
    assert (one.metrics, one.protocol) == (other.metrics, other.protocol)
    assert not list(cache.glob("training/*/*"))
