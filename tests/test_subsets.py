"""Published subsets of train: fetched, verified, matched by file name; a local server stands for the network."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ssl_bench import fetch, protocols, subsets
from ssl_bench.errors import DataError, MissingError, UsageError
from ssl_bench.settings import Settings
from ssl_bench.subsets import Subset
from tests.cli.conftest import Command, command
from tests.cli.test_run import PIXELS
from tests.protocols.conftest import digits, make_trial

__all__ = ["command", "digits", "make_trial"]
LISTS = {"1percent.txt": "train_2.png\n", "10percent.txt": "train_2.png\nother_5.png\n"}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Keep the test's output quiet."""


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of two short lists, which the table of published ones names in the place of SimCLR's."""
    (tmp_path / "served").mkdir()
    for name, text in LISTS.items():
        (tmp_path / "served" / name).write_text(text)
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    table = {
        f"simclr_{name.partition('.')[0]}": Subset(
            f"http://127.0.0.1:{server.server_port}/{name}",
            hashlib.sha256(text.encode()).hexdigest(),
            len(text),
            len(text.splitlines()),
        )
        for name, text in LISTS.items()
    }
    monkeypatch.setattr(subsets, "SUBSETS", table)
    yield
    server.shutdown()
    server.server_close()


def test_fetched_verified_and_matched(served: None, own_settings: Settings, tmp_path: Path) -> None:
    """A list comes from its address and is verified; its images are found by file name in whatever folder, in train's
    order; an edited list, an absent image and one that is there twice are errors."""
    settings = dataclasses.replace(own_settings, data=tmp_path / "data")
    ids = ["a/other_5.png", "a/no.png", "b/train_2.png"]
    with pytest.raises(MissingError, match=r"the list simclr_10percent \(http.* is not at"):
        subsets.positions("simclr_10percent", ids, settings.data)
    assert [str(found) for _, found in fetch.fetch_subsets(["simclr_10percent"], settings)] == [
        str(settings.data / "subsets" / "simclr_10percent.txt")
    ]
    assert subsets.positions("simclr_10percent", ids, settings.data).tolist() == [0, 2]
    with pytest.raises(DataError, match="has 2 images, of which this task's train has 1 among 2"):
        subsets.positions("simclr_10percent", ids[1:], settings.data)
    with pytest.raises(DataError, match="1 of them more than once"):
        subsets.positions("simclr_10percent", [*ids, "c/train_2.png"], settings.data)
    subsets.place("simclr_10percent", settings.data).write_text("train_2.png\nno.png\n")
    with pytest.raises(DataError, match="is not the published list"):
        subsets.positions("simclr_10percent", ids, settings.data)
    with pytest.raises(UsageError, match="no subset is called 'simclr_5percent'"):
        subsets.get("simclr_5percent")


def test_offline(served: None, own_settings: Settings, tmp_path: Path) -> None:
    """Under --offline nothing is fetched, and a line says what is not here."""
    settings = dataclasses.replace(own_settings, data=tmp_path / "data", offline=True)
    [(what, error)] = fetch.fetch_subsets(["simclr_1percent"], settings)
    assert what == "subset simclr_1percent"
    assert "--offline forbids" in str(error)


def test_through_the_command_line(
    served: None, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan names the lists that are missing and the command that gets them; the command gets them; a task that is not
    what the lists are of is told so."""
    monkeypatch.setenv("SSL_BENCH_DATA", str(tmp_path / "data"))
    words = ("-m", PIXELS, "-t", "digits", "-p", "low_shot,lists=simclr")
    said = command("plan", *words)
    assert said.code == 6
    assert "ssl-bench fetch --protocol low_shot,lists=simclr" in said.err
    said = command("fetch", "--protocol", "low_shot,lists=simclr")
    assert said.code == 0, said.err
    assert "subset simclr_10percent: " in said.out
    assert command("fetch", "--protocol", "knn").out == "knn: nothing to fetch\n"
    said = command("run", *words)
    assert said.code != 0
    assert "of which this task's train has" in said.err


class Listed:
    """Positions that stand for published lists, beside a trial's own supply."""

    def __init__(self, supply: Any, found: dict[str, np.ndarray]) -> None:
        self.supply, self.found = supply, found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.supply, name)

    def subset(self, name: str) -> np.ndarray:
        return self.found[name]


def test_low_shot_learns_from_the_lists(make_trial: Any, digits: Any) -> None:
    """With lists=simclr what is fitted is the lists' images, whatever the seed."""
    ten, one = np.arange(0, 100), np.arange(0, 40)
    for seed in (0, 1):
        trial = make_trial(digits["train"], digits["test"][0], seed=seed)
        found = {"simclr_10percent": ten, "simclr_1percent": one}
        trial = dataclasses.replace(trial, supply=Listed(trial.supply, found))
        said = protocols.get("low_shot,lists=simclr,c_steps=1,c_low=0,c_high=0").predict(trial)
        train = (digits["train"][0][ten], digits["train"][1][ten])
        alone = protocols.get("low_shot,fraction=1,also=1,c_steps=1,c_low=0,c_high=0")
        peer = alone.predict(make_trial(train, digits["test"][0]))
        np.testing.assert_array_equal(said.predictions.ranked, peer.predictions.ranked)
        assert said.selected["samples"] == {"fraction=0.01": 40, "fraction=0.1": 100}


def test_what_lists_there_are() -> None:
    """Lists are published for two shares alone; a recipe without them is what it was."""
    with pytest.raises(UsageError, match=r"of 0\.01 and 0\.1 alone"):
        protocols.get("low_shot,lists=simclr,fraction=0.05")
    assert "lists" not in protocols.recipe(protocols.get("low_shot"))
    assert protocols.get("low_shot").subsets == ()


@pytest.mark.skipif("SIMCLR_LISTS" not in os.environ, reason="SIMCLR_LISTS does not name a folder of SimCLR's lists")
def test_the_published_lists_are_what_is_pinned() -> None:
    """The files of google-research/simclr have the pinned digests, sizes and numbers of images, one in the other."""
    folder, found = Path(os.environ["SIMCLR_LISTS"]), {}
    for name, subset in subsets.SUBSETS.items():
        content = (folder / Path(subset.url).name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (subset.sha256, subset.bytes)
        found[name] = set(content.decode().split())
        assert len(found[name]) == subset.images
    assert found["simclr_1percent"] < found["simclr_10percent"]
