"""The house stands: a room imports only what stands below it, and reading commands load nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ssl_bench

PACKAGE = Path(ssl_bench.__file__).parent
FLOORS = [
    {"errors"},
    {
        "aggregators",
        "files",
        "signatures",
        "json_schema",
        "cards",
        "predictions",
        "episodes",
        "metrics",
        "statistics",
        "solvers",
        "heads",
        "images",
        "environment",
        "progress",
        "distributed",
        "interrupts",
        "training",
        "targets",
    },
    {"model_zoo", "tasks", "settings", "pins", "download", "own_data", "subsets", "pages", "shards"},
    {"backbones", "datasets", "checkpoints", "results"},
    {"features", "shared_features", "extraction", "loading", "meters"},
    {"protocols"},
    {"cache", "facts", "scoring", "trials"},
    {
        "api",
        "runner",
        "remeasure",
        "machine",
        "recording",
        "outcome",
        "jobs",
        "plans",
        "executors",
        "fetch",
        "look",
        "leaderboard",
        "comparison",
        "submission",
        "rounds",
        "sketching",
        "submitting",
    },
    {"cli"},
]
PUBLISHING = {"results", "leaderboard", "comparison", "submission"}
MEASURING = {
    "backbones",
    "datasets",
    "checkpoints",
    "features",
    "shared_features",
    "extraction",
    "loading",
    "meters",
    "trials",
    "protocols",
    "solvers",
    "heads",
    "training",
    "distributed",
    "facts",
    "scoring",
    "api",
    "runner",
    "machine",
    "recording",
    "jobs",
    "plans",
    "executors",
    "shards",
    "fetch",
    "rounds",
    "sketching",
    "submitting",
}
EXAMPLE = PACKAGE.parent / "results"
HEAVY = ("torch", "torchvision", "timm", "open_clip", "sklearn", "pandas", "pyarrow", "faiss", "scipy", "rich")


def rooms() -> dict[str, int]:
    return {room: floor for floor, names in enumerate(FLOORS) for room in names}


def imported_rooms(path: Path) -> set[str]:
    """Return the rooms of the house that a file imports, at any depth of the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("ssl_bench.") and name.count(".")}
    return found & set(rooms())


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if not room_of(path).startswith("__")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_below_it(path: Path) -> None:
    """No file imports a room of a higher floor, and every room stands on a floor."""
    floors, room = rooms(), room_of(path)
    assert room in floors, f"{room} stands on no floor; add it to FLOORS"
    upward = {other for other in imported_rooms(path) if floors[other] > floors[room]}
    assert not upward, f"{path.name} imports {sorted(upward)} from above"


def test_the_publishing_wing_knows_nothing_of_the_measuring_wing() -> None:
    """Records and boards import no network, dataset or protocol."""
    for path in FILES:
        if room_of(path) in PUBLISHING:
            assert not imported_rooms(path) & MEASURING, path


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["run", "--help"],
        ["model", "check", "--help"],
        ["list"],
        ["show", "digits"],
        ["plan", "-m", "pixels", "-s", "quick"],
        ["plan", "-m", "pixels", "-s", "quick", "--out", "{tmp}/new.json"],
        ["status", "{tmp}/plan.json"],
        ["logs", "--plan", "{tmp}/plan.json"],
        ["results", "ls"],
        ["schema", "record"],
        ["board", "--results", str(EXAMPLE), "--html", "{tmp}/board.html"],
        ["board", "--results", str(EXAMPLE), "--pages", "{tmp}/pages"],
        ["compare", str(EXAMPLE), str(EXAMPLE), "--html", "{tmp}/compare.html"],
        ["power", "--results", str(EXAMPLE)],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_reading_commands_load_nothing_heavy(words: list[str], tmp_path: Path) -> None:
    """`--help`, `list`, `show`, `plan`, `results`, `board` and `compare` import neither torch nor any other heavy
    library."""
    (tmp_path / "plan.json").write_text('{"format": "ssl-bench.plan/1", "jobs": []}')
    code = (
        "import sys\nfrom ssl_bench import cli\n"
        f"sys.argv = ['ssl-bench', *{[word.replace('{tmp}', str(tmp_path)) for word in words]!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        f"print('LOADED', sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)},
        check=False,
    )
    assert "LOADED []" in done.stdout, done.stdout[-500:] + done.stderr


@pytest.mark.parametrize("words", ["list models", "list tasks", "list protocols", "show digits_vit"])
def test_lists_and_cards_do_without_numpy(words: str, tmp_path: Path) -> None:
    """A list of cards or protocols, and one card, are printed without NumPy, which takes longer than 100 cards."""
    code = (
        "import sys\nfrom ssl_bench import cli\n"
        f"sys.argv = ['ssl-bench', *{words.split()!r}]\n"
        "try:\n    cli.main()\nexcept SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "print('LOADED', 'numpy' in sys.modules)"
    )
    environment = {"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert "LOADED False" in done.stdout, done.stdout[-500:] + done.stderr
