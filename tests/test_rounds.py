"""Rounds: what the suites ask now, frozen by version and digest."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import ssl_bench
from ssl_bench import rounds, tasks
from ssl_bench.errors import UsageError
from ssl_bench.settings import Settings

FROZEN = Path(ssl_bench.__file__).parent.parent / "leaderboard" / "rounds.toml"


@pytest.mark.parametrize("suite", tasks.suite_names())
def test_every_suite_is_a_round(suite: str) -> None:
    """Every question of a suite is asked once, of each task by the protocols of its group, with seeds that all use."""
    round = rounds.current(suite, Settings())
    asked = {(ask.task, ask.protocol) for ask in round.asks}
    assert len(asked) == len(round.asks)
    assert {task for task, _ in asked} == {*round.suite.tasks}
    assert all(ask.seeds == tuple(sorted({*ask.seeds})) and ask.seeds for ask in round.asks)
    assert rounds.current(suite, Settings()).digest == round.digest


def test_a_frozen_round_asks_what_it_asked() -> None:
    """What an open round asks does not change under its version: a change is another version."""
    frozen = tomllib.loads(FROZEN.read_text())
    for name, digest in frozen.items():
        suite, _, version = name.partition("@")
        round = rounds.current(suite, Settings())
        if round.suite.version == int(version):
            assert round.digest == digest, f"{name} asks otherwise: raise the suite's version, and freeze that"


def test_a_suite_is_a_name_and_never_a_path(tmp_path: Path) -> None:
    """A file is no round, whatever a bundle calls its suite."""
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[groups]\na = ["digits"]\n')
    with pytest.raises(UsageError, match="no suite is called"):
        rounds.current(str(path), Settings())
