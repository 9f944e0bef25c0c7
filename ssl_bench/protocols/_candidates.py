"""The choice among rates and decays of fine-tuning: a run for each pair, judged on samples that no run trains on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ssl_bench import distributed, metrics
from ssl_bench.errors import DataError, UsageError
from ssl_bench.files import write_text
from ssl_bench.protocols import _tuning, base
from ssl_bench.protocols._recipes import Recipe

Row = dict[str, Any]


def tried(
    trial: base.Trial,
    recipe: Recipe,
    pairs: Sequence[tuple[float, float]],
    fitted: base.IntArray,
    split: str,
    held: base.IntArray,
) -> list[Row]:
    """Return a row for each pair, trained on `fitted` of train, with what was measured on `held` of a split.

    Rows are kept as they are found, in a file that all seeds of a job share, so that a run that was ended goes on.
    """
    rows = distributed.said_by_first(_kept(trial.choice))
    for number, pair in enumerate(pairs[len(rows) :], start=len(rows) + 1):
        what = f"candidate {number} of {len(pairs)}"
        row = {"rate": pair[0], "decay": pair[1]} | _measured(trial, recipe, fitted, split, held, pair, what)
        rows.append(distributed.said_by_first(row))
        if distributed.rank():
            continue
        if trial.choice is not None:
            trial.choice.parent.mkdir(parents=True, exist_ok=True)
            write_text(trial.choice, json.dumps(rows))
        for path in trial.state.glob("candidate_*.pt") if trial.state else ():
            path.unlink()
    return rows


def _measured(
    trial: base.Trial,
    recipe: Recipe,
    fitted: base.IntArray,
    split: str,
    held: base.IntArray,
    pair: tuple[float, float],
    what: str,
) -> Row:
    """Return what a pair's run says of the samples that choose, or that its loss was no number."""
    try:
        run = _tuning.run(trial, recipe, [("train", fitted)], *pair, what=what)
    except UsageError as error:
        if not isinstance(error.__cause__, FloatingPointError):
            raise
        return {"diverged": True}
    return _tuning.measured(_tuning.logits(run.network, trial, split, held), trial.labels[split][held], trial)


def best(rows: Sequence[Row], trial: base.Trial) -> int:
    """Return the place of the best row by the task's metric, of equal ones the first.

    Raises DataError where no run's loss stayed a number.
    """
    found = max(range(len(rows)), key=lambda row: (*_standing(rows[row], trial), -row))
    if "diverged" in rows[found]:
        raise DataError("fine_tune: the loss of every candidate was no number; give lower rates")
    return found


def _standing(row: Mapping[str, Any], trial: base.Trial) -> tuple[bool, float]:
    metric = metrics.get(trial.metric or "top1")
    value = float(row.get(f"val_{metric.name}", 0.0))
    return "diverged" not in row, value if metric.higher_is_better else -value


def _kept(path: Path | None) -> list[Row]:
    """Return the rows of pairs that were tried before, in an earlier sitting or for another seed."""
    return list(json.loads(path.read_text(encoding="utf-8"))) if path is not None and path.exists() else []
