"""Ctrl-C, once: what is at hand comes to its end; twice: it ends now."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_asked = threading.Event()


def asked() -> bool:
    """Return whether Ctrl-C came once within `gently`."""
    return _asked.is_set()


def check() -> None:
    """Raise KeyboardInterrupt where Ctrl-C came before: for places at which nothing is lost."""
    if asked():
        raise KeyboardInterrupt


@contextlib.contextmanager
def gently(say: Callable[[str], None], first: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within the block, take the first Ctrl-C for a wish: `asked` tells of it, and `first` is called. The second raises
    KeyboardInterrupt as usual. Outside the main thread, where no signal can be heard, nothing changes."""

    def heard(number: int, frame: FrameType | None) -> None:
        if asked():
            raise KeyboardInterrupt
        _asked.set()
        say("stopping: what is at hand comes to its end; Ctrl-C again ends it now")
        first()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    usual = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        _asked.clear()
