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


class Speed:
    """Units a second since the first report, which may tell of what an earlier run did, or of a slow start."""

    def __init__(self) -> None:
        self.start: float | None = None
        self.done = 0

    def after(self, count: int, now: float) -> float:
        """Return the speed after `count` more; 0 where it is not known yet."""
        if self.start is None:
            self.start = now
            return 0.0
        self.done += count
        return self.done / (now - self.start) if now > self.start else 0.0


class PlainProgress(Progress):
    """Prints a line when work starts, every ten seconds, and when it ends."""

    every = 10.0

    @contextlib.contextmanager
    def track(self, label: str, total: int, unit: str = "images") -> Iterator[Advance]:
        start = last = time.monotonic()
        done = 0
        speed = Speed()

        def advance(count: int) -> None:
            nonlocal done, last
            done += count
            now = time.monotonic()
            rate = speed.after(count, now)
            if now - last >= self.every:
                last = now
                left = f", {rate:.{0 if rate >= 10 else 2}f}/s, {(total - done) / rate:.0f} s left" if rate else ""
                self.say(f"{label}: {done}/{total} {unit}{left}")

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
        speed = Speed()
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            bar = bars.add_task(label, total=total, rate="")

            def advance(count: int) -> None:
                rate = speed.after(count, time.monotonic())
                bars.update(bar, advance=count, rate=f"{rate:.0f} {unit}/s" if rate else "")

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
