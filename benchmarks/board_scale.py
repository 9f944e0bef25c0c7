"""The board's page at 1,000 models x 100 tasks: how long it takes to build, how large it is, and how fast a browser is.

Records are committed ones under other names and values, packed as they are published. The command builds the page in a
process of its own, and the system's Chromium opens it from the disk. A sort is timed from the click to the frame in
which the new order stands on the screen: in the columns that the page opens with, and with all columns shown.

Run: python benchmarks/board_scale.py [--models 1000] [--tasks 100] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from store_scale import make

GROUPS = 10
SORT = """async (place) => {
  const button = document.querySelectorAll("#board-0 .heads button")[place];
  const frame = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.now());
    channel.port2.postMessage(0);
  }));
  const start = performance.now();
  button.click();
  const first = await frame() - start;
  while (document.querySelector("[aria-busy]")) await frame();
  return [first, performance.now() - start];
}"""
"""Clicks a heading; gives the milliseconds until the frame is drawn, and until all rows of the first hundred stand."""


def write_suite(folder: Path, tasks: int) -> None:
    """Write a shelf with the suite of the synthetic tasks, in groups of equal size."""
    names = [f"task{task:02d}" for task in range(tasks)]
    size = -(-tasks // GROUPS)
    groups = {f"group{start // size}": names[start : start + size] for start in range(0, tasks, size)}
    lines = ['title = "Synthetic"', 'protocols = ["knn"]', "[groups]"]
    lines += [f"{group} = {members!r}" for group, members in groups.items()]
    (folder / "tasks" / "suites").mkdir(parents=True)
    (folder / "tasks" / "suites" / "synthetic.toml").write_text("\n".join(lines))


def timed(*words: str) -> str:
    """Return the wall time of a command, and the time that processors worked on it: others may be at work on them."""
    start, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, *words], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return f"{time.perf_counter() - start:8.2f} s  of processors' time {worked:7.2f} s"


def build(folder: Path, models: int, tasks: int) -> Path:
    """Build the page by the command, print what that takes, and return its path."""
    results, page = folder / "results", folder / "board.html"
    if not results.exists():
        make(results, models, tasks, 1)
        write_suite(folder / "shelf", tasks)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    places = ["--results", str(results), "--cache", str(folder / "cache"), "--shelf", str(folder / "shelf")]
    words = ["-m", "ssl_bench", "board", "--suite", "synthetic", "--html", str(page), *places]
    print(f"{models} models x {tasks} tasks, load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")
    print(f"ssl-bench board --html, every record read and checked    {timed(*words)}")
    for _ in range(3):
        print(f"the same with the records' index at hand                 {timed(*words)}")
    code = (
        "import gc, sys, time\nfrom pathlib import Path\nfrom ssl_bench import tasks\n"
        "from ssl_bench.leaderboard import ranking, site\nfrom ssl_bench.results.store import Results\ngc.disable()\n"
        f"records = Results(Path({str(results)!r}), Path({str(folder / 'cache')!r})).records()\n"
        f"suite = tasks.read_suite(Path({str(folder / 'shelf' / 'tasks' / 'suites' / 'synthetic.toml')!r}))\n"
        "start = time.process_time()\nboard = ranking.make_board(records, suite)\nmade = time.process_time()\n"
        "site.html(board)\nprint(f'{made - start:.2f} {time.process_time() - made:.2f}', 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    made, rendered, torch = done.stdout.split()
    print(f"  of it: columns, rows and means                                 of processors' time {float(made):7.2f} s")
    print(
        f"  of it: the page                                                of processors' time {float(rendered):7.2f} s"
    )
    print(f"torch loaded                                             {torch:>8}")
    text = page.read_bytes()
    print(f"the page                                                 {len(text) / 1e6:8.2f} MB")
    print(f"gzipped                                                  {len(gzip.compress(text, 6)) / 1e6:8.2f} MB")
    return page


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Give the system's browser, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def look(browser: Any, page: Path, runs: int) -> None:
    """Print how soon the page is seen, and how long its sorts and views take."""
    paints, loads = [], []
    for _ in range(runs):
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        requests: list[str] = []
        tab.on("request", lambda request, seen=requests: seen.append(request.url))
        tab.goto(page.as_uri())
        paints.append(tab.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
        loads.append(tab.evaluate("performance.getEntriesByType('navigation')[0].domComplete"))
        assert len(requests) == 1, requests
        if len(paints) < runs:
            tab.close()
    print(f"first contentful paint, median of {runs}                      {statistics.median(paints):8.0f} ms")
    print(f"page and controls ready                                  {statistics.median(loads):8.0f} ms")
    columns = tab.locator("#board-0 .heads th:visible").count()
    _sorts(tab, f"{columns} columns", runs)
    tab.evaluate("""() => {
        for (const box of document.querySelectorAll("[data-facet=columns] input")) box.checked = true;
        document.getElementById("view").dispatchEvent(new Event("input", { bubbles: true }));
    }""")
    columns = tab.locator("#board-0 .heads th:visible").count()
    _sorts(tab, f"{columns} columns", runs)


def _sorts(tab: Any, what: str, runs: int) -> None:
    found = []
    for i in range(2 * runs):
        tab.wait_for_timeout(500)  # nobody sorts again at once
        found.append(tab.evaluate(SORT, 2 + i % 5))
    first, all_rows = (statistics.median(times) for times in zip(*found, strict=True))
    print(f"a sort of all rows, {what}: until it is seen          {first:8.0f} ms")
    print(f"a sort of all rows, {what}: the first hundred rows    {all_rows:8.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, count in (("models", 1000), ("tasks", 100), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=count)
    parser.add_argument("--keep", type=Path, help="Folder for records and page, used again where they lie there.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = build(given.keep or Path(folder), given.models, given.tasks)
        with chromium() as browser:
            look(browser, page, given.runs)


if __name__ == "__main__":
    main()
