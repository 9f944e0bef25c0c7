"""Measuring from Python: models by name, by path and as torch modules; outcomes as records and frames."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import ssl_bench
from ssl_bench.backbones.module import code_digest
from ssl_bench.errors import UsageError
from ssl_bench.files import digest_json
from ssl_bench.images import InputSpec
from ssl_bench.results.describe import describe
from ssl_bench.results.store import Results
from ssl_bench.settings import Settings

GREY8 = "size=8,channels=grey,mean=[0.5],std=[0.5],resize=squash"


class Net(nn.Module):
    """A seeded linear layer on the pixels of 8 × 8 grey images."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layer = nn.Linear(64, 16)
        self.drop = nn.Dropout(0.5)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.drop(self.layer(images.flatten(1))) * self.scale
        return found


def factory() -> nn.Module:
    """Return the same network, for a card."""
    return Net()


@pytest.fixture
def flags(own_settings: Settings) -> dict[str, Any]:
    """Settings of a run that touches nothing else."""
    names = ("data", "weights", "cache", "results", "device", "workers", "progress")
    return {name: getattr(own_settings, name) for name in names}


def test_importing_the_package_loads_nothing_heavy() -> None:
    """`import ssl_bench` loads neither torch nor NumPy nor pandas, and still knows its public names."""
    code = "import sys, ssl_bench; print(sorted({'torch', 'numpy', 'pandas', 'click'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert all(getattr(ssl_bench, name) for name in ssl_bench.__all__)


def test_a_torch_module_gives_the_number_of_its_factory(flags: dict[str, Any]) -> None:
    """A module given in Python scores what the same network scores from a factory, and a card's input is a spec's."""
    spec = InputSpec((8, 8), "squash", channels="grey", mean=(0.5,), std=(0.5,))
    given = ssl_bench.run(Net(), task="digits", protocol="knn", preprocess=spec, name="mine", **flags).written[0]
    words = ssl_bench.run(Net(), task="digits", protocol="knn", preprocess=GREY8, name="mine", **flags)
    card = ssl_bench.run(f"module:tests.test_api:factory,resize_to=0,{GREY8}", task="digits", protocol="knn", **flags)
    assert given.headline == card.written[0].headline
    assert given.model.name == "mine"
    assert given.model.weights_digest == card.written[0].model.weights_digest
    assert words.present == [given]
    assert given.timing["flops_per_image"] == 2 * 64 * 16
    assert "ssl-bench run" not in describe(given)
    assert "ssl-bench run" in describe(card.written[0])


def test_the_owner_keeps_the_module_as_it_was(flags: dict[str, Any]) -> None:
    """A module that is being trained stays in training mode with its gradients, and its tensors are the same."""
    net = Net().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    ssl_bench.run(net, task="digits", protocol="knn", preprocess=GREY8, **flags)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_what_a_module_computes_is_part_of_its_identity(flags: dict[str, Any]) -> None:
    """Equal tensors under other code, other settings or another input are other records, never a cache hit."""

    class Other(Net):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images).abs()

    flags |= {"task": "digits", "protocol": "knn", "name": "net"}
    first = ssl_bench.run(Net(), preprocess=GREY8, **flags).written[0]
    for other, preprocess in ((Net(2.0), GREY8), (Other(), GREY8), (Net(), GREY8.replace("0.5", "0.25"))):
        record = ssl_bench.run(other, preprocess=preprocess, **flags).written[0]
        assert record.record_id != first.record_id
    assert code_digest(Net()) == code_digest(Net())
    assert len({code_digest(net) for net in (Net(), Net(2.0), Other())}) == 3


def test_code_that_was_typed_in_is_told_apart() -> None:
    """Classes without a source file, as of an interpreter, are told apart by their bytecode."""
    digests = set()
    for sign in "+-":
        names: dict[str, Any] = {"nn": nn, "__name__": "typed_in"}
        exec(f"class Typed(nn.Module):\n    def forward(self, x):\n        return x {sign} 1\n", names)  # noqa: S102
        digests.add(code_digest(names["Typed"]()))
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("model", "more", "message"),
    [
        (Net(), {}, "does not say what it is fed: give preprocess"),
        (Net(), {"preprocess": "resize=squash"}, "does not say the size"),
        (Net(), {"preprocess": "size=8,colour=grey"}, "unknown key 'colour'"),
        (Net(), {"preprocess": 8}, "preprocess is an InputSpec, what one states, or a transform, not a int"),
        ("pixels", {"preprocess": GREY8}, "belongs to one torch module, and 0 are given"),
        (object(), {"preprocess": GREY8}, "not a object"),
        ([Net(), Net()], {"preprocess": GREY8}, "two torch modules are called 'Net'"),
    ],
)
def test_mistakes(flags: dict[str, Any], model: Any, more: dict[str, Any], message: str) -> None:
    """A module without its input, or something that is no model, is refused before anything is computed."""
    with pytest.raises(UsageError, match=message):
        ssl_bench.run(model, task="digits", protocol="knn", **more, **flags)


def test_paths_and_several_models(flags: dict[str, Any], tmp_path: Path) -> None:
    """Models may be names, paths and modules at once; a frame has a row per record, in the order of the records."""
    card = tmp_path / "grey.toml"
    card.write_text('adapter = "pixels"\n[input]\nsize = 4\nchannels = "grey"\nmean = [0.5]\nstd = [0.5]\n')
    models = ["majority", card, Net()]
    outcome = ssl_bench.run(models, task=["digits"], protocol=["knn"], preprocess=GREY8, limit=300, **flags)
    frame = outcome.frame()
    assert list(frame["model"]) == ["majority", "grey", "Net"]
    assert list(frame["value"]) == [record.headline.value for record in outcome.records]
    assert (frame["low"] <= frame["value"]).all()
    assert list(frame["record_id"]) == [record.record_id for record in outcome.records]
    every = outcome.frame(every_metric=True)
    assert len(every) == sum(len(record.metrics) for record in outcome.records)
    assert set(every.columns) == set(frame.columns)
    assert list(ssl_bench.run(models[:2], task="digits", protocol="knn", **flags).frame()["n"]) == [360, 360]
    assert outcome.written[0].task.truncated == 300


def test_a_record_says_what_its_number_rests_on(flags: dict[str, Any], own_settings: Settings) -> None:
    """Sample ids per split, label map, ceiling, curve and costs stand in the record of a real run."""
    record = ssl_bench.run("digits_vit", task="digits", protocol="logistic_regression", **flags).written[0]
    ids = Results(own_settings.results).read_samples(record)["sample_id"]
    assert record.task.ids is not None
    assert record.task.ids.keys() == record.task.samples.keys()
    assert record.task.ids["test"] == digest_json(list(ids))
    assert record.task.labels is not None
    assert record.task.labels.names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert record.task.labels.sha256 == digest_json(list(record.task.labels.names))
    definitions = record.task.metrics
    assert {name: one.ceiling for name, one in definitions.items()} == {
        name: 1.0 if one.higher_is_better else 0.0 for name, one in definitions.items()
    }
    assert record.protocol.curve
    assert record.protocol.converged is True
    assert record.model.about["labels_used"] is False
    assert record.timing["flops_per_image"] > 1e6
    assert record.environment["batch_size"] == 64
    assert np.isclose(record.timing["images_extracted"], 1797)
    assert not {"cpu_joules", "download_seconds"} & record.timing.keys() or min(record.timing.values()) >= 0


def test_costs_enter_no_identity(flags: dict[str, Any]) -> None:
    """A record with other costs, environment and code has the same id and question."""
    record = ssl_bench.run("majority", task="digits", protocol="knn", **flags).written[0]
    other = dataclasses.replace(record, timing={"cpu_joules": 1e6, "flops_per_image": 1}, environment={}, code={})
    assert (other.record_id, other.question) == (record.record_id, record.question)
    assert other.content_digest != record.content_digest
