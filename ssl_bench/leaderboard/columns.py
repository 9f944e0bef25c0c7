"""Columns: one question each, one task content, one protocol, one recipe, one request for features."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from ssl_bench.errors import IncomparableError
from ssl_bench.results.questions import asked, differing, flat, short
from ssl_bench.results.record import MetricDefinition, Record, Task


@dataclasses.dataclass(frozen=True)
class Column:
    """One question."""

    task: Task
    group: str
    question: str
    tested: str = ""
    """How the column's values were tested against its best, and how many: "paired (7 models)"; see `best`."""

    @property
    def definition(self) -> MetricDefinition:
        """How the column's numbers are read."""
        return self.task.metrics[self.task.metric]


def one_question(task: str, protocol: str, records: list[Record]) -> Task:
    """Return the column's task; raise IncomparableError naming what differs where there are two questions."""
    questions: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        questions[record.question].append(record)
    if len(questions) == 1:
        return records[0].task
    parts = {digest: flat(asked(found[0])) for digest, found in questions.items()}
    keys = differing(parts.values())
    wordings = [
        f"{digest[:8]} ({_models(found)}): " + ", ".join(f"{key} = {short(parts[digest].get(key))}" for key in keys)
        for digest, found in sorted(questions.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    raise IncomparableError(
        f"{task} × {protocol}: the records answer {len(questions)} different questions and cannot share a column. "
        f"{'; '.join(wordings)}. Choose one with --question {next(iter(sorted(questions)))[:8]}, or by recipe with "
        f"--protocol {protocol},key=value"
    )


def _models(records: list[Record]) -> str:
    names = sorted({record.model.name for record in records})
    return names[0] if len(names) == 1 else f"{len(names)} models, such as {names[0]}"
