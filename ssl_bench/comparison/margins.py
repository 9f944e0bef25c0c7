"""What difference matters: from flags, then the table `compare` of `./ssl-bench.toml`, then the default.

```toml
[compare]
margin = "0.3pt"                 # per task: what a task may lose before anybody should care
suite_margin = "0.2pt"           # of the mean over tasks
alpha = 0.05
on_inconclusive = "warn"         # "fail" makes an inconclusive verdict exit with 4, as --strict does

[compare.vtab]                   # the same keys for one suite
margin = "0.5pt"

[compare.vtab.tasks.vtab_svhn]   # and for one task of it
margin = "1.0pt"
```

"0.3pt" is 0.3 points of percent, 0.003 of a fraction; of a metric in another unit it is 0.3 % of base's value. A bare
number is in the metric's own unit.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ssl_bench import cards
from ssl_bench.errors import UsageError, did_you_mean
from ssl_bench.settings import PROJECT_FILE

POINTS = re.compile(r"([0-9]*\.?[0-9]+)\s*(pt|%)?")
KEYS = ("margin", "suite_margin", "alpha", "on_inconclusive")


@dataclasses.dataclass(frozen=True)
class Margin:
    """A difference that would matter."""

    size: float
    points: bool
    """True: `size` is in points of percent."""

    def of(self, base: float, unit: str) -> float:
        """Return the margin in the metric's unit, for a metric whose value is `base`."""
        if not self.points:
            return self.size
        return self.size / 100 * (1.0 if unit == "fraction" else abs(base))

    def __str__(self) -> str:
        return f"{self.size:g} pt" if self.points else f"{self.size:g}"


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a comparison is judged by."""

    margin: Margin = Margin(0.3, True)
    suite_margin: Margin = Margin(0.2, True)
    alpha: float = 0.05
    on_inconclusive: str = "warn"
    tasks: Mapping[str, Margin] = dataclasses.field(default_factory=dict)
    """Margins of single tasks."""

    def of(self, task: str) -> Margin:
        """Return the margin of a task."""
        return self.tasks.get(task, self.margin)


def parse(text: str | float, where: str) -> Margin:
    """Return the margin that "0.3pt" or 0.003 means; raise UsageError naming `where` for anything else."""
    found = POINTS.fullmatch(str(text).strip())
    if not found:
        raise UsageError(f'{where} is {text!r}; a margin is written as "0.3pt", or in the metric\'s unit as 0.003')
    return Margin(float(found[1]), bool(found[2]))


def policy(suite: str = "", flags: Mapping[str, Any] | None = None, path: Path = Path(PROJECT_FILE)) -> Policy:
    """Return the policy for a suite; raise UsageError for an unknown key or a wrong value, naming the file."""
    whole = cards.read_toml(path).get("compare", {}) if path.is_file() else {}
    where = f"{path}: compare"
    _check(whole, where, top=True)
    own = whole.get(suite, {}) if suite else {}
    _check(own, f"{where}.{suite}", top=False)
    values = {key: table[key] for table in (whole, own) for key in KEYS if key in table}
    values |= {key: value for key, value in (flags or {}).items() if value is not None}
    tasks = {name: parse(table.get("margin", ""), f"{where}.{name}") for name, table in own.get("tasks", {}).items()}
    return _policy(values, {} if (flags or {}).get("margin") else tasks, where)


def _policy(values: Mapping[str, Any], tasks: Mapping[str, Margin], where: str) -> Policy:
    read = {key: parse(values[key], f"{where}.{key}") for key in ("margin", "suite_margin") if key in values}
    alpha = values.get("alpha", Policy.alpha)
    if not isinstance(alpha, float) or not 0 < alpha < 1:
        raise UsageError(f"{where}.alpha must be between 0 and 1, not {alpha!r}")
    mode = values.get("on_inconclusive", Policy.on_inconclusive)
    if mode not in ("warn", "fail"):
        raise UsageError(f'{where}.on_inconclusive is {mode!r}; it is "warn" or "fail"')
    return Policy(**read, alpha=alpha, on_inconclusive=mode, tasks=tasks)


def _check(table: Any, where: str, top: bool) -> None:
    if not isinstance(table, Mapping):
        raise UsageError(f"{where} must be a table")
    for key, value in table.items():
        suite = top and isinstance(value, Mapping)
        if key not in KEYS and not suite and not (key == "tasks" and not top):
            raise UsageError(f"{where}: unknown key {key!r}.{did_you_mean(key, KEYS)} Known: {', '.join(KEYS)}")
