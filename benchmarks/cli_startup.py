"""Start-up of the reading commands against `python -c pass`: medians over several runs, and what each adds.

The last two have a shelf that brings the model cards to 500.

Run: python benchmarks/cli_startup.py [--runs 9]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results"
COMMANDS = (
    ("--help",),
    ("list", "models"),
    ("list", "tasks"),
    ("show", "dinov2_vitb14"),
    ("plan", "-m", "digits_vit", "-s", "quick"),
    ("results", "ls"),
    ("board", "--results", str(RESULTS), "--html", "board.html"),
)


MODELS = RESULTS.parent / "model_zoo"
CARDS = 500


def make_shelf(folder: Path) -> Path:
    """Write copies of the model cards under other names, so that there are 500 with the originals."""
    cards = sorted(MODELS.glob("*.toml"))
    (folder / "model_zoo").mkdir(parents=True)
    for number in range(CARDS - len(cards)):
        card = cards[number % len(cards)]
        (folder / "model_zoo" / f"{card.stem}_{number}.toml").write_bytes(card.read_bytes())
    return folder


def median_seconds(words: list[str], runs: int, folder: str) -> float:
    """Return the median wall time of a process over `runs` runs, after one that is not counted."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    command = [sys.executable, "-m", "ssl_bench"]  # 5 ms more than the installed script
    with tempfile.TemporaryDirectory() as folder:
        base = median_seconds([sys.executable, "-c", "pass"], runs, folder)
        print(f"python -c pass                        {1000 * base:6.0f} ms")
        shelf = ("--shelf", str(make_shelf(Path(folder) / "shelf")))
        for words in (*COMMANDS, ("list", "models", *shelf), ("show", "dinov2_vitb14", *shelf)):
            seconds = median_seconds([*command, *words], runs, folder)
            line = f"ssl-bench {' '.join(words)}".replace(shelf[1], f"({CARDS} cards)")
            print(f"{line:<37} {1000 * seconds:6.0f} ms  (+{1000 * (seconds - base):.0f} ms)")


if __name__ == "__main__":
    main()
