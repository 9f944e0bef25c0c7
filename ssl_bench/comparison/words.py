"""Numbers and verdicts in words, the same in every report."""

from __future__ import annotations

import math

from ssl_bench.comparison.verdicts import Comparison, SuiteResult, TaskResult
from ssl_bench.statistics import Difference

MOST_NAMED = 3
"""Rows that are named beside a note that they share."""
MARKS = {"regressed": "❌", "improved": "⬆️", "non-inferior": "✅", "inconclusive": "❔", "incomparable": "🚫"}


def value(number: float, unit: str) -> str:
    """Return a value: a fraction as percent with two decimals, else four digits."""
    return f"{100 * number:.2f}" if unit == "fraction" else f"{number:.4g}"


def signed(number: float, unit: str) -> str:
    """Return a difference with its sign, in points for a fraction; "?" where nothing is known."""
    if not math.isfinite(number):
        return "?"
    text = f"{100 * number:+.2f}" if unit == "fraction" else f"{number:+.3g}"
    return text.replace("-", "−")


def interval(difference: Difference, unit: str) -> str:
    """Return "[−1.47, −0.93]"."""
    return f"[{signed(difference.low, unit)}, {signed(difference.high, unit)}]"


def delta(one: TaskResult | SuiteResult) -> str:
    """Return "−1.20 [−1.47, −0.93]"."""
    return f"{signed(one.difference.delta, one.unit)} {interval(one.difference, one.unit)}"


def points(unit: str) -> str:
    """Return the unit of a difference."""
    return "pt" if unit == "fraction" else unit


def probability(p: float) -> str:
    """Return a p-value: 2e-16, 0.003, 0.41, 1."""
    if p >= 0.995:
        return "1"
    return f"{p:.2f}" if p >= 0.01 else f"{p:.1g}"


def flips(one: TaskResult) -> str:
    """Return "811/499": samples that base alone, and the candidate alone, gets right."""
    return "" if one.losses is None else f"{one.losses:,}/{one.wins:,}"


def verdict(one: TaskResult | SuiteResult) -> str:
    """Return the verdict with what makes it less than sure."""
    text: str = one.verdict
    if isinstance(one, TaskResult):
        if one.detectable is not None:
            text += f" (detectable ≥ {value(one.detectable, one.unit)} {points(one.unit)})"
        if not one.paired:
            text += ", unpaired"
        elif not one.enough:
            text += f" ({len(one.seeds)} of 3 seeds)"
    return text


def suite_name(one: SuiteResult) -> str:
    """Return the name of a mean over tasks."""
    return f"mean of {one.tasks} · {one.protocol}"


def subject(found: Comparison) -> str:
    """Return "pixels → digits_vit · 2 protocols · 1 task": what was compared; "" where nothing could be."""
    if not found.tasks:
        return ""
    models = sorted({" → ".join(dict.fromkeys((one.base_model, one.model))) for one in found.tasks})
    protocols = sorted({one.protocol for one in found.tasks})
    count = len({(one.task, one.variant) for one in found.tasks})
    parts = [
        models[0] if len(models) == 1 else f"{len(models)} models",
        found.suite,
        protocols[0] if len(protocols) == 1 else f"{len(protocols)} protocols",
        f"{count} task{'s' * (count != 1)}",
    ]
    return " · ".join(filter(None, parts))


def title(found: Comparison, marked: bool = False) -> str:
    """Return one line that says what was compared and what came out, `marked` with a sign of the verdict."""
    mark = f"{MARKS[found.verdict]} " if marked else ""
    return " — ".join(filter(None, (subject(found), f"{mark}{summary(found)}")))


def summary(found: Comparison) -> str:
    """Return "1 regressed, 2 inconclusive, 16 non-inferior; mean −0.21 [−0.34, −0.08] pt"."""
    if found.mismatches:
        count = len(found.mismatches)
        return f"incomparable: {count} field{'s' * (count != 1)} differ{'s' * (count == 1)}"
    words = ("regressed", "inconclusive", "improved", "non-inferior")
    counts = [f"{n} {word}" for word in words if (n := sum(one.verdict == word for one in found.tasks))]
    text = ", ".join(counts) or "nothing to compare"
    if len(found.suites) == 1:
        mean = found.suites[0]
        text += f"; mean {delta(mean)} {points(mean.unit)}, {mean.verdict}"
    elif any(one.verdict == "regressed" for one in found.suites):
        text += f"; {sum(one.verdict == 'regressed' for one in found.suites)} of {len(found.suites)} means regressed"
    return text


def legend(found: Comparison) -> str:
    """Return what the columns and verdicts mean, with the margins that were judged by."""
    return (
        f"Δ: candidate minus base, with its {100 * (1 - found.alpha):g} % interval. lost/won: samples that base alone, "
        "and the candidate alone, gets right. p: corrected for all tasks by Holm. Regressed: worse by that test, and "
        f"by no less than the margin, {_margins(found)}; non-inferior: the interval rules such a loss out; "
        "inconclusive: the data cannot tell."
    )


def _margins(found: Comparison) -> str:
    """Return "0.30 pt of a task and 0.20 pt of a mean"; of several margins the least and the largest."""
    parts = []
    for what, results in (("a task", found.tasks), ("a mean", found.suites)):
        sizes = sorted({(one.unit, one.margin) for one in results})
        told = list(dict.fromkeys(f"{value(margin, unit)} {points(unit)}" for unit, margin in sizes))
        if told:
            parts.append(f"{' to '.join(dict.fromkeys((told[0], told[-1])))} of {what}")
    return " and ".join(parts)


def plain_lines(found: Comparison) -> list[str]:
    """Return what stands around the numbers: differences of the machines and notes."""
    lines = [f"differs: {line}" for line in found.surroundings]
    lines += [f"note: {line}" for line in found.notes]
    lines += [f"note: {note}" for note in _shared_notes(found)]
    return [*lines, *([f"A/A: {found.calibration}"] if found.calibration else [])]


def _shared_notes(found: Comparison) -> list[str]:
    """Return the notes of tasks, each once, with the rows that it is of; of many, how many."""
    rows: dict[str, list[str]] = {}
    for one in found.tasks:
        for note in one.notes:
            rows.setdefault(note, []).append(f"{one.name} · {one.protocol}")
    told = []
    for note, names in rows.items():
        count = len(found.tasks)
        many = f"all {count} rows" if len(names) == count else f"{len(names)} of {count} rows"
        told.append(f"{', '.join(names) if len(names) <= MOST_NAMED else many}: {note}")
    return told
