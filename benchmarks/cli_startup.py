"""Start-up of the reading commands against `python -c pass`: medians over several runs, and what each adds.

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
    command = str(Path(sys.executable).with_name("ssl-bench"))
    with tempfile.TemporaryDirectory() as folder:
        base = median_seconds([sys.executable, "-c", "pass"], runs, folder)
        print(f"python -c pass                        {1000 * base:6.0f} ms")
        for words in COMMANDS:
            seconds = median_seconds([command, *words], runs, folder)
            line = f"ssl-bench {' '.join(words)}"
            print(f"{line:<37} {1000 * seconds:6.0f} ms  (+{1000 * (seconds - base):.0f} ms)")


if __name__ == "__main__":
    main()
