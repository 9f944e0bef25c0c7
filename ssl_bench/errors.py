"""What can go wrong by a user's hand: one line that names the thing, the place and the mend, and an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

EXIT_OK = 0
EXIT_NEGATIVE = 1
EXIT_USAGE = 2
EXIT_JOBS_FAILED = 3
EXIT_INCONCLUSIVE = 4
EXIT_INCOMPARABLE = 5
EXIT_MISSING = 6


class SslBenchError(Exception):
    """An error that a user can cause; the command line prints its message alone and exits with `exit_code`."""

    exit_code = EXIT_USAGE


class UsageError(SslBenchError):
    """A wrong name, option, card, checkpoint or record."""


class IncomparableError(SslBenchError):
    """Records that answer different questions were to be put side by side."""

    exit_code = EXIT_INCOMPARABLE


class MissingError(SslBenchError):
    """Data, weights, a package, disk space or a permission is not there."""

    exit_code = EXIT_MISSING


class UnsuitedError(UsageError):
    """A task that a recipe cannot be asked of, known from its labels alone: the job is skipped, not failed."""


class DataError(SslBenchError):
    """A dataset is there but cannot be used: a corrupt image, an empty class, labels out of range."""


def reason(error: Exception) -> str:
    """Return in words, on one line, what an exception of the language says: a KeyError's own text is the bare key."""
    if isinstance(error, KeyError) and error.args:
        return f"{error.args[0]!r} is not there"
    text = "".join(letter if letter.isprintable() else " " for letter in str(error))
    return " ".join(text.split())[:300] or type(error).__name__


def is_out_of_memory(error: Exception) -> bool:
    """True for what torch and its libraries say on a GPU and on the CPU, and for Python's own."""
    said = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")
    return isinstance(error, MemoryError) or any(words in str(error) for words in said)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return " Did you mean a, b?" for the names nearest to `word`, or "" where none is near."""
    near = difflib.get_close_matches(word, sorted(set(known)), n=3, cutoff=0.6)
    return f" Did you mean {', '.join(near)}?" if near else ""


def missing_package(package: str, extra: str, what: str) -> MissingError:
    """Return the error for an optional package that is not installed; `extra` is empty for a core dependency."""
    target = f"'ssl-bench[{extra}]'" if extra else package
    return MissingError(f"{what} needs the package {package}, which is not installed. Install it: pip install {target}")
