"""The command line as a user meets it: words in; text, error lines and an exit code out."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_bench import cli
from ssl_bench.settings import Settings


@dataclasses.dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


def lines(text: str) -> list[list[str]]:
    """Return the rows of a piped table, without its header."""
    return [line.split("\t") for line in text.splitlines()[1:]]


@pytest.fixture
def command(
    own_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run `ssl-bench` with the given words in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("data", "weights", "cache", "results"):
        monkeypatch.setenv(f"SSL_BENCH_{name.upper()}", str(getattr(own_settings, name)))
    monkeypatch.setenv("SSL_BENCH_DEVICE", "cpu")
    monkeypatch.setenv("SSL_BENCH_WORKERS", "0")

    def run(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["ssl-bench", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        code = end.value.code
        assert isinstance(code, int)
        assert "Traceback" not in captured.err
        return Said(code, captured.out, captured.err)

    return run
