"""A progress that tests ask what it was told."""

from __future__ import annotations

from ssl_bench.progress import Progress


class Heard(Progress):
    """Shows nothing, and keeps what is said in `lines`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)
