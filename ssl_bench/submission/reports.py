"""A validator's report, for programs and for people."""

from __future__ import annotations

import re
from typing import Any

from ssl_bench.files import canonical_json
from ssl_bench.submission.findings import Finding
from ssl_bench.submission.validator import Report

SCHEMA = "ssl-bench.report/1"
MARKER = "<!-- ssl-bench: submit -->"
"""By which a comment is found again and replaced."""
MOST = 60_000
"""Characters of a Markdown report; GitHub takes 65,536 of a comment."""


def to_json(report: Report) -> str:
    """Return the report as one line of canonical JSON."""
    return canonical_json(
        {
            "accepted": report.accepted,
            "bundle": report.bundle,
            "findings": [_plain(finding) for finding in report.findings],
            "labels": dict(report.labels),
            "model": report.model,
            "records": report.records,
            "round": report.round,
            "schema": SCHEMA,
        }
    )


def _plain(finding: Finding) -> dict[str, Any]:
    names = ("code", "name", "where", "what", "mend", "waived", "refuses")
    return {name: getattr(finding, name) for name in names}


def markdown(report: Report) -> str:
    """Return the report as Markdown in which no word of a stranger is markup."""
    errors = [one for one in report.findings if one.refuses]
    others = [one for one in report.findings if not one.refuses]
    verdict = "✅ can be taken" if report.accepted else f"❌ {len(errors)} to mend"
    lines = [
        MARKER,
        f"### ssl-bench: {escape(report.model) or 'a bundle'} · {escape(report.round) or 'no round'} — {verdict}",
        "",
        f"{report.records} records; bundle `{report.bundle[:16] or 'unreadable'}`. Numbers were computed from the "
        "predictions once more.",
    ]
    stated = [task for task, whose in report.labels.items() if whose != "held here"]
    if stated:
        lines += ["", f"Labels as the bundle states them, not held here: {', '.join(map(escape, stated))}."]
    for title, found in (("To mend", errors), ("To look at", others)):
        if found:
            lines += ["", f"**{title}**", "", "| code | where | what | mend |", "| :-- | :-- | :-- | :-- |"]
            lines += [_row(finding) for finding in found]
    text = "\n".join(lines) + "\n"
    if len(text) <= MOST:
        return text
    kept = text[:MOST].rpartition("\n")[0]
    return f"{kept}\n\nThe rest of {len(report.findings)} findings is in `report.json`.\n"


def _row(finding: Finding) -> str:
    mend = f"waived: {finding.waived}" if finding.waived else finding.mend
    cells = (f"{finding.code} {finding.name}", finding.where, finding.what, mend)
    return f"| {' | '.join(escape(cell) for cell in cells)} |"


def escape(text: str) -> str:
    """Return text in which Markdown, HTML and mentions are letters; code in backticks stays."""
    parts = re.split(r"(`[^`|<>@\n]{1,80}`)", " ".join(text.split()))
    return "".join(part if i % 2 else _escaped(part) for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    text = re.sub(r"([\\*_{}\[\]()#|~`!$])", r"\\\1", text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"@(?=\w*[A-Za-z])", "@&#8203;", text)
