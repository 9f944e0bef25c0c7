"""What is bold: the best value of every column, and each that a test does not tell from it.

The best model is tested against all others, controls aside, and the p-values are corrected by Holm for all of them:

    paired      where per-sample predictions of both are here: the tests of `ssl-bench compare`, that is McNemar's on
                right and wrong, Student's on what each sample gives, the bootstrap for other metrics, and for protocols
                that draw, over at least three shared seeds, the largest p by seed, by sample and by both
    unpaired    where they are not: values and the standard errors that their intervals imply, as if each model had
                samples of its own, which sees less

What cannot be tested is not bold unless it equals the best: one or two seeds of a protocol that draws say nothing of
its luck, and a value without interval nothing of the samples'.

Predictions are read of those models alone for which it matters. Whatever the samples say, the standard error of a
paired difference is at most the sum of both models' own, which bounds p; and Holm's correction rejects no fewer where
p-values are lower. So whoever is rejected with the highest p that is possible, or kept with the lowest, is not read,
and every verdict is the one that reading all would give.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from ssl_bench.comparison.matching import Pair
from ssl_bench.comparison.testing import standard_error, tell_apart
from ssl_bench.errors import IncomparableError
from ssl_bench.leaderboard.columns import Column
from ssl_bench.leaderboard.evidence import NOTHING, Evidence
from ssl_bench.leaderboard.rows import Cell, Row
from ssl_bench.results import seeds
from ssl_bench.statistics import holm, of_seeds, p_of_errors
from ssl_bench.statistics.distributions import t_two_sided

ALPHA = 0.05
SHARED_SEEDS = 3
"""That both models need where the protocol draws."""
ALLOWANCE = 1.1
"""What the standard errors of bounds are multiplied by, since intervals are no exact measure of them."""


@dataclasses.dataclass
class Test:
    """A model's test against the best, with the bounds of its p-value until it is made."""

    pair: Pair
    paired: bool
    low: float
    high: float

    @property
    def made(self) -> bool:
        """Whether p is known."""
        return self.low == self.high


def mark_best(
    rows: Sequence[Row], columns: Sequence[Column], evidence: Evidence = NOTHING
) -> tuple[tuple[Row, ...], tuple[Column, ...]]:
    """Return the rows with their best cells marked, and the columns with how they were tested."""
    marked = [list(row.cells) for row in rows]
    said = []
    models = [i for i, row in enumerate(rows) if not row.control]
    for index, column in enumerate(columns):
        cells = {i: cell for i in models if (cell := rows[i].cells[index])}
        best, tested = of_column(cells, column, evidence)
        for i, cell in cells.items():
            if cell.best != (i in best):
                marked[i][index] = dataclasses.replace(cell, best=i in best)
        said.append(dataclasses.replace(column, tested=tested))
    done = (dataclasses.replace(row, cells=tuple(found)) for row, found in zip(rows, marked, strict=True))
    return tuple(done), tuple(said)


def of_column(cells: dict[int, Cell], column: Column, evidence: Evidence) -> tuple[set[int], str]:
    """Return which cells are not told from the best, and how that was tested."""
    if not cells:
        return set(), ""
    sign = 1 if column.definition.higher_is_better else -1
    base = max(cells.values(), key=lambda cell: sign * cell.value)
    others = {i: cell for i, cell in cells.items() if cell is not base}
    found = {i: _prepared(base, cell, evidence) for i, cell in others.items()}
    tests = {i: test for i, test in found.items() if test}
    alike = {i for i, cell in cells.items() if cell.value == base.value}
    return alike | _kept(tests, evidence), _words(list(tests.values()), len(found))


def _kept(tests: dict[int, Test], evidence: Evidence) -> set[int]:
    """Return the models that Holm's correction does not reject."""
    found = list(tests.values())
    if not all(test.made for test in found):
        _settle(found, evidence)
    corrected = holm([test.high for test in found])
    return {i for i, p in zip(tests, corrected, strict=True) if p >= ALPHA}


def _settle(found: Sequence[Test], evidence: Evidence) -> None:
    """Make the tests whose outcome matters, and settle the others at the bound that decides them."""
    lowest, highest = holm([test.low for test in found]), holm([test.high for test in found])
    for test, low, high in zip(found, lowest, highest, strict=True):
        if high < ALPHA:
            test.low = test.high
        elif low >= ALPHA:
            test.high = test.low
        else:
            _make(test, evidence)


def _prepared(base: Cell, cell: Cell, evidence: Evidence) -> Test | None:
    """Return the test of a model, not yet made where it is on predictions; None where none is possible."""
    pair, luck = _pair(base, cell)
    if luck and len(pair.base) < SHARED_SEEDS:
        return None
    if evidence is not NOTHING and all(evidence.has(record) for record in (*pair.base, *pair.cand)):
        return Test(pair, True, *_bounds(pair, luck))
    p = _of_records(pair, luck)
    return None if p is None else Test(pair, False, p, p)


def _pair(base: Cell, cell: Cell) -> tuple[Pair, bool]:
    """Return the records of the seeds that two models share, and whether seeds matter; if not, one record of each."""
    if not (seeds.matters(base.records[0]) or seeds.matters(cell.records[0])):
        return Pair(base.records[:1], cell.records[:1]), False
    left, right = ({record.seed: record for record in one.records} for one in (base, cell))
    shared = sorted(left.keys() & right.keys())
    return Pair(tuple(left[seed] for seed in shared), tuple(right[seed] for seed in shared)), True


def _differences(pair: Pair) -> list[float]:
    return [cand.headline.value - base.headline.value for base, cand in zip(pair.base, pair.cand, strict=True)]


def _errors(pair: Pair) -> tuple[float, float]:
    """Return the standard errors over samples; seeds share their samples, so that averaging them does not help."""
    if len(pair.base) == 1:
        return standard_error(pair.base[0]), standard_error(pair.cand[0])
    return max(map(standard_error, pair.base)), max(map(standard_error, pair.cand))


def _of_records(pair: Pair, luck: bool) -> float | None:
    """Return the p-value that values and intervals alone give; None where there are no intervals."""
    errors = _errors(pair)
    if math.isfinite(sum(errors)):
        return p_of_errors(_differences(pair), *errors)
    return of_seeds(_differences(pair)).p if luck else None


def _bounds(pair: Pair, luck: bool) -> tuple[float, float]:
    """Return between which values the p-value of the paired test lies, whatever the predictions are."""
    delta, n = fmean(_differences(pair)), pair.base[0].headline.n
    # McNemar's variance, unlike Student's, holds the difference itself.
    se = math.hypot(ALLOWANCE * sum(_errors(pair)), delta / math.sqrt(max(n, 1)))
    if not math.isfinite(se) or n < 2:
        return 0.0, 1.0
    by_item = t_two_sided(delta / se, n - 1) if se else 1.0
    if not luck:
        return 0.0, by_item
    by_seed = of_seeds(_differences(pair))
    spread = math.hypot(se, by_seed.se)
    both = t_two_sided(delta / spread, by_seed.df) if spread else 1.0
    return by_seed.p, max(by_seed.p, by_item, both)


def _make(test: Test, evidence: Evidence) -> None:
    """Settle a test on predictions; where they turn out unfit for pairing, on the records alone."""
    p = evidence.remembered("p", [*test.pair.base, *test.pair.cand], lambda: _p(test.pair, evidence))
    if p is None:
        test.paired = False
        p = _of_records(test.pair, len(test.pair.base) >= SHARED_SEEDS)
    test.low = test.high = 1.0 if p is None else p


def _p(pair: Pair, evidence: Evidence) -> float | None:
    try:
        tested = tell_apart(pair, evidence.table, evidence.table)
    except IncomparableError:
        return None
    return tested.difference.p if tested.paired and tested.enough else None


# ---------------------------------------------------------------- in words


def _words(tests: Sequence[Test], others: int) -> str:
    """Return how a column was tested, such as "paired (7 models)"."""
    kinds = Counter("paired" if test.paired else "unpaired" for test in tests)
    if others > len(tests):
        kinds["not tested"] = others - len(tests)
    return ", ".join(f"{kind} ({count} model{'s' * (count > 1)})" for kind, count in kinds.items())


def legend(columns: Iterable[Column]) -> str:
    """Return what bold means on a board of these columns."""
    said = [column.tested for column in columns]
    words = (
        "Bold marks the best value of a column, and every value that a test does not tell from it at the 5 % level, "
        "corrected by Holm for all models of the column; controls aside. Two bold values are not shown to be equal: "
        "more test samples might tell them apart."
    )
    if any(text.startswith("paired") for text in said):
        words += " Where the per-sample predictions of both models are at hand, the test is paired, sample by sample."
    if any("unpaired" in text for text in said):
        words += (
            " Where per-sample predictions are not at hand (packed records travel without them), the test is unpaired: "
            "of the values and their intervals, as if each model had samples of its own. It sees less, so that more is "
            "bold than a paired test would leave."
        )
    if any("not tested" in text for text in said):
        words += (
            " What cannot be tested, since its protocol draws and fewer than three seeds are shared with the best, or "
            "since it has no interval, is bold only where it equals the best."
        )
    return words
