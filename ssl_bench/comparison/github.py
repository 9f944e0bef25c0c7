"""What a GitHub workflow reads: annotations on stdout, the job's summary, and outputs for later steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ssl_bench.comparison import words
from ssl_bench.comparison.markdown import markdown
from ssl_bench.comparison.verdicts import Comparison, SuiteResult, TaskResult
from ssl_bench.errors import MissingError

MOST_SUMMARY = 1_000_000
"""Characters: GitHub keeps a MiB of summary per step."""
MOST_ANNOTATIONS = 10
"""Of each kind and step; GitHub drops the others."""


def commands(found: Comparison) -> Iterator[str]:
    """Give the workflow commands: an error for each regression and mismatch, a warning for each inconclusive task."""
    errors = [_line("error", f"{_name(one)} regressed", _said(one)) for one in found.regressions]
    errors += [_line("error", "incomparable", str(wrong)) for wrong in found.mismatches]
    unsure = [one for one in found.results if one.verdict == "inconclusive"]
    yield from errors[:MOST_ANNOTATIONS]
    yield from (_line("warning", f"{_name(one)} inconclusive", _said(one)) for one in unsure[: MOST_ANNOTATIONS - 1])
    if found.surroundings:
        yield _line("warning", "the two sides were run differently", "; ".join(found.surroundings[:20]))


def _name(one: TaskResult | SuiteResult) -> str:
    return words.suite_name(one) if isinstance(one, SuiteResult) else f"{one.name} · {one.protocol}"


def _said(one: TaskResult | SuiteResult) -> str:
    text = f"{one.model}: {words.delta(one)} {words.points(one.unit)}, p (Holm) {words.probability(one.p_holm)}"
    notes = f"; {'; '.join(one.notes)}" if isinstance(one, TaskResult) and one.notes else ""
    return text + notes


def _line(kind: str, title: str, message: str) -> str:
    return f"::{kind} title={_escaped(title, ':,')}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    """Return text that can neither end its command nor begin another one."""
    for char in ("%", "\r", "\n", *more):
        text = text.replace(char, f"%{ord(char):02X}")
    return "".join(char if char.isprintable() else " " for char in text)


def write(found: Comparison) -> None:
    """Append to the files that GITHUB_STEP_SUMMARY and GITHUB_OUTPUT name, where they name any."""
    _append("GITHUB_STEP_SUMMARY", markdown(found, most=MOST_SUMMARY))
    mean = found.suites[0].difference.delta if len(found.suites) == 1 else None
    outputs = {
        "verdict": found.verdict,
        "exit-code": found.exit_code,
        "delta": "" if mean is None else f"{mean:.6f}",
        "regressed": len(found.regressions),
        "inconclusive": sum(one.verdict == "inconclusive" for one in found.results),
    }
    _append("GITHUB_OUTPUT", "".join(f"{key}={value}\n" for key, value in outputs.items()))


def _append(variable: str, text: str) -> None:
    name = os.environ.get(variable, "")
    if not name:
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise MissingError(f"cannot write {name}, which {variable} names: {error.strerror or error}") from error
