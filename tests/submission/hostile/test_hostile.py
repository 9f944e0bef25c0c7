"""Every case of the corpus is refused or neutralised by name, and nothing of it is executed."""

from __future__ import annotations

import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssl_bench.errors import SslBenchError
from tests.submission.hostile import archives, arrays, claims, notes, texts, words
from tests.submission.hostile.base import Arena, Case

DOCS = Path(__file__).parents[3] / "docs" / "verifying.md"
FAMILIES = {"archives": archives, "texts": texts, "arrays": arrays, "claims": claims, "notes": notes, "words": words}
CASES = [(family, case) for family, module in FAMILIES.items() for case in module.CASES]
SECONDS = 60
GIGABYTES = 3.0
"""Most memory that a case may take beyond what was taken before; the attackers' own tools take some of it."""


@pytest.fixture
def deadline() -> Iterator[None]:
    """Fail a case that never ends."""

    def late(*_: Any) -> None:
        raise AssertionError(f"did not end within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize(("family", "case"), CASES, ids=lambda one: one.name if isinstance(one, Case) else one)
def test_hostile(family: str, case: Case, tmp_path: Path) -> None:
    """An attack is refused in one line that names what is wrong, or comes to nothing; it executes, opens and takes
    nothing."""
    arena = Arena(tmp_path / "attacker")
    arena.folder.mkdir()
    outside = set(Path.cwd().iterdir())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        said = f"neutralised: {case.does(arena)}"
    except SslBenchError as error:
        said = f"refused: {error}"
        assert all(line.isprintable() for line in said.splitlines()), said
        assert "hunter2" not in said
    assert re.search(case.meets, said), said[:2000]
    assert not arena.sentinel.exists()
    assert set(tmp_path.iterdir()) == {arena.folder}
    assert set(Path.cwd().iterdir()) == outside
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GIGABYTES * 2**20


def test_the_payload_is_live(tmp_path: Path) -> None:
    """The payload of the corpus would leave its mark, if anything loaded it: in a process of its own, it does."""
    arena = Arena(tmp_path)
    (tmp_path / "pickle").write_bytes(arena.pickled)
    code = f"import pickle; pickle.load(open({str(tmp_path / 'pickle')!r}, 'rb'))"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert arena.sentinel.exists()


def test_the_corpus_is_as_large_as_is_said() -> None:
    """The corpus has this many cases, each with a name of its own; `pytest -s` prints them by family."""
    counts = {family: len(module.CASES) for family, module in FAMILIES.items()}
    print(
        f"\nhostile corpus: {len(CASES)} cases ({', '.join(f'{count} {family}' for family, count in counts.items())})"
    )
    assert len({case.name for _, case in CASES}) == len(CASES)
    assert len(CASES) == 293
    assert f"a corpus of {len(CASES)} attacks" in " ".join(DOCS.read_text(encoding="utf-8").split())
