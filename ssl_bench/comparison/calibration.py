"""How far runs of one and the same commit differ: the harmless part of every later difference.

Each run is made with another batch size and without a cache; what it differs by is kept beside the baselines, by
weights and question, and shown by later comparisons of the same.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from ssl_bench import cards
from ssl_bench.comparison.sources import BASELINES
from ssl_bench.comparison.verdicts import Comparison, TaskResult
from ssl_bench.errors import UsageError
from ssl_bench.files import write_text
from ssl_bench.results.record import Record

FILE = "calibration.json"


@dataclasses.dataclass(frozen=True)
class Harmless:
    """What runs of one job differed by."""

    runs: int
    flipped: float
    """The largest share of answers that changed."""
    delta: float
    """The largest difference of values, either way."""
    unit: str
    commit: str = ""


def key_of(record: Record) -> str:
    """Return what a calibration holds for: weights and question, whichever the seed."""
    return f"{record.model.weights_digest[:16]}-{record.question[:16]}"


def measure(runs: Sequence[Comparison], base: Iterable[Record]) -> dict[str, Harmless]:
    """Return what comparisons of base with its repetitions found, by weights and question."""
    keys = {(r.model.name, r.task.name, r.protocol.name, r.task.metric): (key_of(r), r) for r in base}
    found: dict[str, Harmless] = {}
    for run in runs:
        for one in run.tasks:
            key, record = keys[one.model, one.task, one.protocol, one.metric]
            before = found.get(key, Harmless(0, 0.0, 0.0, one.unit, str(record.code.get("commit", ""))))
            found[key] = dataclasses.replace(
                before,
                runs=before.runs + 1,
                flipped=max(before.flipped, _share(one)),
                delta=max(before.delta, abs(one.difference.delta)),
            )
    return found


def _share(one: TaskResult) -> float:
    return one.flipped / one.answered if one.flipped and one.answered else 0.0


def read(folder: Path = BASELINES) -> dict[str, Harmless]:
    """Return what is kept in a folder of baselines; nothing where there is none. Raises UsageError for another file."""
    path = folder / FILE
    if not path.is_file():
        return {}
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return {key: cards.from_table(Harmless, value, str(path)) for key, value in body.items()}
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{path}: is no calibration: {error}") from None


def keep(found: dict[str, Harmless], folder: Path = BASELINES) -> Path:
    """Add to what is kept in a folder of baselines, and return the file."""
    path = folder / FILE
    whole = dict(sorted((read(folder) | found).items()))
    write_text(path, json.dumps(cards.plain(whole), indent=2) + "\n")
    return path


def said(kept: dict[str, Harmless], base: Iterable[Record]) -> str:
    """Return one line of what is harmless among the jobs of a comparison; "" where that is not known."""
    mine = [kept[key] for key in dict.fromkeys(map(key_of, base)) if key in kept]
    if not mine:
        return ""
    flipped = max(one.flipped for one in mine)
    runs = min(one.runs for one in mine)
    return (
        f"{runs} runs of one commit changed at most {100 * flipped:.2f} % of a task's answers, and its value by at "
        f"most {max(one.delta for one in mine):.2g}"
    )
