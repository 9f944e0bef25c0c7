"""Shared fixtures: settings that touch nothing outside a test's folder, and the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from ssl_bench.settings import Settings
from tests.places import place, s3_server

__all__ = ["place", "s3_server"]  # fixtures

# Tests must not depend on the settings of whoever runs them, nor open a connection to a hub.
DATA = os.environ.get("SSL_BENCH_DATA", "")
OURS = ("SSL_BENCH_DATA", "SSL_BENCH_BROWSER", "SSL_BENCH_CLUSTERS")
for name in [name for name in os.environ if name.startswith("SSL_BENCH_") and name not in OURS]:
    del os.environ[name]
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does, before torch is loaded

# The same cases every time; HYPOTHESIS_PROFILE=fresh draws new ones.
hypothesis.settings.register_profile("same", deadline=None, database=None, derandomize=True)
hypothesis.settings.register_profile("fresh", deadline=None, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test a home of its own, so that no user's cache or settings file is read or written."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def real_data() -> Path:
    """The folder of real datasets and checkpoints; the test is skipped, and says so, where there is none."""
    if not DATA:
        pytest.skip("SSL_BENCH_DATA does not name the folder of real data")
    return Path(DATA)


@pytest.fixture
def own_settings(tmp_path: Path) -> Settings:
    """Settings with every folder inside the test's own."""
    return Settings(
        data=Path(DATA) if DATA else tmp_path / "data",
        weights=tmp_path / "weights",
        cache=tmp_path / "cache",
        results=tmp_path / "results",
        device="cpu",
        workers=0,
        progress="none",
    )
