"""Whether a seed matters is what protocols say of recipe and task, and what older records tell of themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ssl_bench import cards, protocols
from ssl_bench.results import seeds
from ssl_bench.results.record import ProtocolBlock
from tests.results.factory import make_record, make_task

ASKED = (
    "knn",
    "logistic_regression,c_low=-3,c_high=2,c_steps=3",
    "logistic_regression,c_low=0,c_high=0,c_steps=1",
    "low_shot,fraction=0.1,also=0.1",
    "few_shot_ridge,shots=5,also=1",
    "clustering,restarts=1,iterations=3",
)


@pytest.mark.parametrize("with_val", [True, False])
@pytest.mark.parametrize("text", ASKED)
def test_what_a_protocol_says_of_its_seed(text: str, with_val: bool, make_trial: Any, digits: Any) -> None:
    """Another seed gives other numbers if, and only if, the protocol says that it matters for this recipe and task."""
    (x, y), test = digits["train"], digits["test"][0]
    protocol, said = protocols.get(text), []
    for seed in (0, 1):
        trial = make_trial((x[:300], y[:300]), test, digits["val"] if with_val else None, seed=seed)
        answer = protocol.predict(trial)
        first = getattr(answer.predictions, "confidence", getattr(answer.predictions, "assigned", None))
        said.append([np.asarray(first).tolist(), [row.get("val_top1") for row in answer.curve]])
    assert protocol.seed_matters(trial.sizes) == (said[0] != said[1])


@pytest.mark.parametrize("sizes", [{"train": 300, "test": 100}, {"train": 300, "val": 100, "test": 100}])
@pytest.mark.parametrize("text", [*protocols.names(), *ASKED, "robustness,c_steps=1"])
def test_what_a_record_tells_of_its_seed(text: str, sizes: dict[str, int]) -> None:
    """Of a record that does not say it, nothing that its seed drew is missed; what was held out its task tells."""
    protocol, name = protocols.get(text), text.partition(",")[0]
    block = ProtocolBlock(name, protocol.version, cards.plain(protocols.recipe(protocol)), protocol.deterministic)
    record = make_record("pixels", dataclasses.replace(make_task("cifar10"), samples=sizes | {"test": 10_000}), block)
    assert seeds.matters(record) >= protocol.seed_matters(sizes)
    if name in seeds.HOLDING_OUT:
        assert seeds.matters(record) == protocol.seed_matters(sizes)
    said = dataclasses.replace(block, deterministic=not protocol.seed_matters(sizes))
    assert seeds.matters(dataclasses.replace(record, protocol=said)) == protocol.seed_matters(sizes)
