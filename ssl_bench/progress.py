"""Progress of long work on stderr: a bar on a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from ssl_bench import distributed

Advance = Callable[[int], None]


class Progress:
    """Shows how far long work has come. This class itself shows nothing; see `choose`."""

    @contextlib.contextmanager
    def track(self, label: str, total: int, unit: str = "images") -> Iterator[Advance]:
        """Give a function to call with the number of units just done."""
        yield lambda count: None

    def say(self, text: str) -> None:
        """Show one line of news."""


class PlainProgress(Progress):
    """Prints a line when work starts, every ten seconds, and when it ends."""

    every = 10.0

    @contextlib.contextmanager
    def track(self, label: str, total: int, unit: str = "images") -> Iterator[Advance]:
        start = last = time.monotonic()
        done = 0

        def advance(count: int) -> None:
            nonlocal done, last
            done += count
            now = time.monotonic()
            if now - last >= self.every:
                last = now
                rate = done / (now - start)
                left = (total - done) / rate if rate else 0.0
                self.say(f"{label}: {done}/{total} {unit}, {rate:.0f}/s, {left:.0f} s left")

        yield advance
        seconds = time.monotonic() - start
        self.say(f"{label}: {done} {unit} in {seconds:.1f} s ({done / max(seconds, 1e-9):.0f}/s)")

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


class RichProgress(Progress):
    """Draws a bar with images/s and the time left."""

    @contextlib.contextmanager
    def track(self, label: str, total: int, unit: str = "images") -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        start, done = time.monotonic(), 0
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(label, total=total, rate="")

            def advance(count: int) -> None:
                nonlocal done
                done += count
                bars.update(bar, advance=count, rate=f"{done / max(time.monotonic() - start, 1e-9):.0f} {unit}/s")

            yield advance

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def choose(kind: str) -> Progress:
    """Return the progress for a setting: auto, rich, plain or none; of several processes the first alone shows any."""
    if distributed.rank():
        return Progress()
    if kind == "auto":
        kind = "rich" if sys.stderr.isatty() else "plain"
    return {"rich": RichProgress, "plain": PlainProgress}.get(kind, Progress)()
