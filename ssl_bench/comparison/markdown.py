"""A comparison as Markdown for a pull request: one comment that is found again by its marker, and updated."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ssl_bench.comparison import words
from ssl_bench.comparison.verdicts import WORST_FIRST, Comparison, SuiteResult, TaskResult

MARKER = "<!-- ssl-bench: compare -->"
MOST = 65_000
"""Characters: GitHub refuses a comment of 65,536 and more."""
MOST_UNSURE = 10
"""Inconclusive rows that are shown unfolded."""
HEAD = "| task | n | base | cand | Δ (95 % CI) | lost/won | p (Holm) | verdict |\n|:--|--:|--:|--:|--:|--:|--:|:--|"
CUT = "\n\n… cut here: the whole is in the job summary, or in what `--json` prints.\n"


def markdown(found: Comparison, *, flips: int = 20, most: int = MOST) -> str:
    """Return the report, in fewer than `most` characters; `flips` samples of each task are named."""
    for count in (flips, 5, 0):
        text = "\n".join([MARKER, *_lines(found, count)]) + "\n"
        if len(text) < most:
            return text
    return text[: most - len(CUT) - 1].rpartition("\n")[0] + CUT


def _lines(found: Comparison, flips: int) -> Iterator[str]:
    yield f"### ssl-bench: {cell(words.title(found, marked=True))}"
    yield ""
    yield f"base `{cell(found.base)}`, candidate `{cell(found.cand)}`"
    if found.mismatches:
        yield from _mismatches(found)
        return
    if found.surroundings:
        yield "\n⚠️ The two sides were not run alike: see the differences of machine, packages or code below."
    ordered = sorted(found.results, key=lambda one: WORST_FIRST.index(one.verdict))
    unsure = [one for one in ordered if one.verdict == "inconclusive"]
    folded = ("non-inferior", "inconclusive") if len(unsure) > MOST_UNSURE else ("non-inferior",)
    loud = [one for one in ordered if one.verdict not in folded]
    if loud:
        yield f"\n{_head(found)}"
        yield from map(_row, loud)
    for verdict in folded:
        quiet = [one for one in ordered if one.verdict == verdict]
        if quiet:
            few = not loud and len(quiet) <= 8
            yield from _folded(f"{len(quiet)} {verdict}", [_head(found), *map(_row, quiet)], few)
    yield f"\n<sub>{cell(words.legend(found), 1000)}</sub>"
    lines = words.plain_lines(found)
    if lines:
        yield from _folded("differences and notes", [f"- {cell(line)}" for line in lines], False)
    if flips and any(one.flips for one in found.tasks):
        yield from _folded("flipped samples", list(_flips(found, flips)), False)


def _head(found: Comparison) -> str:
    return HEAD.replace("95", f"{100 * (1 - found.alpha):g}")


def _mismatches(found: Comparison) -> Iterator[str]:
    yield "\nThe two sides do not answer the same questions, so there is nothing to compare.\n"
    yield "| where | field | base | cand |\n|:--|:--|:--|:--|"
    for one in found.mismatches[:100]:
        yield f"| {cell(one.where)} | {cell(one.field)} | {cell(one.base)} | {cell(one.cand)} |"


def _row(one: TaskResult | SuiteResult) -> str:
    verdict = words.verdict(one)
    shown = f"**{verdict}**" if one.verdict == "regressed" else verdict
    if isinstance(one, SuiteResult):
        name, n, flipped = f"**{cell(words.suite_name(one))}**", "", ""
    else:
        name, n, flipped = cell(f"{one.name} · {one.protocol}"), f"{one.n:,}", words.flips(one)
    values = [words.value(one.base, one.unit), words.value(one.cand, one.unit)]
    cells = [name, n, *values, words.delta(one), flipped, words.probability(one.p_holm), shown]
    return f"| {' | '.join(cells)} |"


def _folded(title: str, lines: list[str], open_: bool) -> Iterator[str]:
    yield f"\n<details{' open' * open_}><summary>{title}</summary>\n"
    yield from lines
    yield "\n</details>"


def _flips(found: Comparison, most: int) -> Iterator[str]:
    yield "| task | sample | label | base | cand |\n|:--|:--|--:|--:|--:|"
    for one in sorted(found.tasks, key=lambda one: one.verdict != "regressed"):
        name = cell(f"{one.name} · {one.protocol}")
        for flip in one.flips[:most]:
            yield f"| {name} | {cell(flip.sample)} | {flip.target} | {flip.base} | {flip.cand} |"


def cell(text: str, most: int = 300) -> str:
    """Return foreign text that can neither leave its cell nor become markup, HTML or a mention."""
    text = re.sub(r"\s+", " ", "".join(char if char.isprintable() else " " for char in text))[:most]
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "&#64;")
    return re.sub(r"([\\`*|\[\]_~])", r"\\\1", text)
