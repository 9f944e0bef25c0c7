"""The wheel holds the shelves and works where no checkout is."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ssl_bench

TOP = Path(ssl_bench.__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (TOP / "pyproject.toml").is_file():
        pytest.skip("not run from a checkout")
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=TOP,
        check=True,
        capture_output=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_the_shelves_lie_inside_the_wheel(wheel: Path) -> None:
    """Every card and weights file of the checkout is in the wheel, and no code stands on a shelf."""
    names = set(zipfile.ZipFile(wheel).namelist())
    for room in ("model_zoo", "tasks"):
        for card in (path for path in (TOP / room).rglob("*") if path.is_file()):
            assert f"ssl_bench/_shelves/{card.relative_to(TOP).as_posix()}" in names
    assert any(name.startswith("ssl_bench/_shelves/leaderboard/templates/") for name in names)
    assert not [name for name in names if name.startswith("ssl_bench/_shelves") and name.endswith(".py")]
    assert not [name for name in names if name.startswith(("tests/", "results/"))]


def test_an_installed_wheel_finds_its_cards(wheel: Path, tmp_path: Path) -> None:
    """From an unpacked wheel, away from the checkout, `list` and `show` find the built-in cards."""
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "ssl_bench", "list", "models"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site"), "HOME": str(tmp_path), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "pixels" in done.stdout
