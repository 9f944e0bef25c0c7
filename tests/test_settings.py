"""Settings: flag > environment > project file > user's file > default, each with its origin."""

from __future__ import annotations

from pathlib import Path

import pytest

from ssl_bench import settings
from ssl_bench.errors import UsageError


def test_the_nearest_word_wins_and_its_origin_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flag wins over the environment, that over the project's file, that over the user's file, that over defaults."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "ssl-bench").mkdir(parents=True)
    (tmp_path / "config" / "ssl-bench" / "ssl-bench.toml").write_text("batch_size = 1\nworkers = 1\n")
    (tmp_path / "ssl-bench.toml").write_text('batch_size = 2\nresults = "here"\n')
    monkeypatch.setenv("SSL_BENCH_BATCH_SIZE", "3")
    resolved = settings.resolve({"batch_size": None, "device": "cpu"})
    assert resolved.settings.batch_size == 3
    assert resolved.origins["batch_size"] == "SSL_BENCH_BATCH_SIZE"
    assert resolved.settings.workers == 1
    assert resolved.settings.results == Path("here")
    assert resolved.origins["results"] == "ssl-bench.toml"
    assert resolved.origins["device"] == "--device"
    assert settings.resolve({"batch_size": 4}).settings.batch_size == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batchsize = 2", ["batchsize", "Did you mean batch_size?"]),
        ('batch_size = "many"', ["batch_size must be a whole number"]),
        ('progress = "loud"', ["progress is 'loud'"]),
    ],
)
def test_a_wrong_setting_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, words: list[str]
) -> None:
    """An unknown key or a wrong value in a settings file is refused in one line that names the file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ssl-bench.toml").write_text(text)
    with pytest.raises(UsageError) as error:
        settings.resolve()
    assert all(word in str(error.value) for word in ["ssl-bench.toml", *words])


def test_false_in_the_environment_is_false(monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSL_BENCH_OFFLINE=false` is false, and a word that is neither is refused."""
    monkeypatch.setenv("SSL_BENCH_OFFLINE", "false")
    assert settings.resolve().settings.offline is False
    monkeypatch.setenv("SSL_BENCH_OFFLINE", "maybe")
    with pytest.raises(UsageError, match="SSL_BENCH_OFFLINE"):
        settings.resolve()
