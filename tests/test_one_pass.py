"""Every image passes the network once, whatever protocols and tasks ask of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import ssl_bench
from ssl_bench import protocols
from ssl_bench.settings import Settings
from tests import counting

OWN_IMAGES = {"linear_sweep", "linear_mae", "label_free", "attentive_probe", "fine_tune"}
"""Protocols that see crops, turned images or maps, or train the network: these are passes of their own."""
OTHER_TASKS = {"zero_shot", "robustness"}
"""Protocols that need a text tower or shifted test sets."""
RECIPES = {"episodic": "episodic,episodes=5,ways=3,queries=5", "logistic_regression": "logistic_regression,c_steps=3"}
MODEL = "module:tests.counting:network,size=8,channels=grey,mean=[0.0],std=[1.0]"


def test_all_frozen_protocols_share_one_pass(own_settings: Settings) -> None:
    """All protocols on pooled features, run one after another and again, pass each distinct image once."""
    names = [name for name in protocols.names() if name not in OWN_IMAGES | OTHER_TASKS]
    names = [name for name in names if "classification" in protocols.get(name).kinds]
    folders = {
        key: value for key, value in dataclasses.asdict(own_settings).items() if key in ("data", "cache", "results")
    }
    counting.seen = 0
    for chosen in (names[:1], names, names):
        outcome = ssl_bench.run(
            MODEL,
            task="digits",
            protocol=[RECIPES.get(name, name) for name in chosen],
            **folders,
            device="cpu",
            workers=0,
            progress="none",
        )
        assert not outcome.failures, outcome.failures[0].error
    assert len(outcome.present) >= len(names)
    assert counting.seen == 1797
    assert Path(own_settings.cache).is_dir()
