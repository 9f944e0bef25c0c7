"""Which values are bold: those that a corrected test does not tell from the best."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ssl_bench.comparison.matching import Pair
from ssl_bench.comparison.testing import tell_apart
from ssl_bench.errors import MissingError, UsageError
from ssl_bench.leaderboard import best, text
from ssl_bench.leaderboard.evidence import NOTHING, Evidence
from ssl_bench.leaderboard.places import NORMAL, RESAMPLED
from ssl_bench.leaderboard.ranking import Table, make_board
from ssl_bench.predictions import Classes, Truth
from ssl_bench.results.record import ProtocolBlock, Record, Samples
from ssl_bench.results.samples import Table as Predictions
from ssl_bench.statistics import alike_with_best, holm, rank_intervals
from tests.results.factory import make_grid, make_metric, make_model, make_protocol, make_record, make_task, sha

DRAWING = ProtocolBlock("few_shot_ridge", 1, {"shots": 5}, deterministic=False)


class Store:
    """Predictions in memory, which counts what is read."""

    def __init__(self) -> None:
        self.tables: dict[str, Predictions] = {}
        self.reads = 0

    def record(
        self, name: str, right: NDArray[Any], *, protocol: str | ProtocolBlock = "knn", seed: int = 0, task: str = "dtd"
    ) -> Record:
        """Return a record whose predictions lie here; `right` (samples,) says which are right."""
        n = len(right)
        targets = np.arange(n) % 10
        first = np.where(right, targets, (targets + 1) % 10)
        said = Classes((first[:, None] + np.arange(5)) % 10, np.ones(n, dtype=np.float32))
        table = said.table([f"{i}.png" for i in range(n)], Truth({"test": targets}, 10))
        digest = sha(name, task, seed, right.tobytes())
        self.tables[digest] = table
        block = dataclasses.replace(make_task(task), samples={"train": 100, "test": n}, classes=10)
        made = make_record(name, block, protocol, seed=seed)
        metrics = {"top1": make_metric(float(np.mean(right)), n)}
        return dataclasses.replace(made, metrics=metrics, samples=Samples(digest, n, tuple(table)))

    def evidence(self, memory: Path | None = None) -> Evidence:
        def read(record: Record) -> Predictions:
            self.reads += 1
            return self.tables[record.samples.sha256]

        return Evidence(lambda record: record.samples.sha256 in self.tables, read, memory)


def bold(records: Iterable[Record], evidence: Evidence = NOTHING) -> set[str]:
    """Return the models that are bold in the one column of the records."""
    return {row.model.name for row in only(records, evidence).rows if row.cells[0] and row.cells[0].best}


def only(records: Iterable[Record], evidence: Evidence = NOTHING) -> Table:
    (table,) = make_board(list(records), evidence=evidence).tables
    return table


def flipped(right: NDArray[Any], losses: int, wins: int) -> NDArray[Any]:
    """Return other outcomes that lose so many of the right samples and win so many of the wrong ones."""
    found = right.copy()
    found[np.flatnonzero(right)[:losses]] = False
    found[np.flatnonzero(~right)[:wins]] = True
    return found


RIGHT = np.arange(1000) < 800
"""Outcomes of the best model."""


def test_paired_by_hand() -> None:
    """Against 20 losses and 5 wins the best is better, since McNemar's mid-p is below 5 %; against 13 and 5 it is not.

    Mid-p values: 2 P(X < 5) + P(X = 5) for X ~ B(25, ½) and B(18, ½) are 0.00250 and 0.0638.
    """
    for losses, kept in ((20, False), (13, True)):
        total = losses + 5
        p = 2 * stats.binom.cdf(4, total, 0.5) + stats.binom.pmf(5, total, 0.5)
        assert (p >= 0.05) == kept
        store = Store()
        records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, losses, 5))]
        assert ("b" in bold(records, store.evidence())) == kept
        assert only(records, store.evidence()).columns[0].tested == "paired (1 model)"


def test_pairing_sees_more() -> None:
    """Where predictions are not at hand, a difference that samples show is not seen, and the column says so."""
    store = Store()
    records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, 20, 5))]
    assert bold(records, store.evidence()) == {"a"}
    assert bold(records) == {"a", "b"}
    assert only(records).columns[0].tested == "unpaired (1 model)"


def test_unpaired_by_hand() -> None:
    """Without predictions z = Δ / √(se² + se²) decides, with the standard errors that the intervals imply."""
    for other, kept in ((0.775, True), (0.765, False)):
        records = [make_record(name, "pets", value=value) for name, value in (("a", 0.79), ("b", other))]
        errors = [
            (r.headline.interval.high - r.headline.interval.low) / (2 * stats.norm.ppf(0.975))
            for r in records
            if r.headline.interval
        ]
        delta = records[0].headline.value - records[1].headline.value
        p = 2 * stats.norm.sf(delta / np.hypot(*errors))
        assert (p >= 0.05) == kept
        assert ("b" in bold(records)) == kept


def test_holm_over_the_models_of_a_column() -> None:
    """A difference that alone would be significant is not, where as good a model stands beside it."""
    store = Store()
    near = [store.record(name, flipped(RIGHT, 16, 5)) for name in ("b", "c", "d")]
    base = store.record("a", RIGHT)
    p = 2 * stats.binom.cdf(4, 21, 0.5) + stats.binom.pmf(5, 21, 0.5)
    assert p < 0.05 < 3 * p
    assert bold([base, near[0]], store.evidence()) == {"a"}
    assert bold([base, *near], store.evidence()) == {"a", "b", "c", "d"}


@pytest.mark.parametrize("seed", range(6))
def test_what_is_not_read_changes_nothing(seed: int) -> None:
    """Of forty models few are read, and yet bold is what testing all of them gives."""
    draw, store = np.random.default_rng(seed), Store()
    hard = draw.random(600)
    skills = draw.uniform(0.3, 0.9, 40)
    outcomes = [hard + draw.normal(0, 0.15, 600) < skill for skill in skills]
    records = [store.record(f"m{i:02d}", right) for i, right in enumerate(outcomes)]
    expected = alike_with_best(np.stack(outcomes, axis=1).astype(float))
    table = only(records)
    rows, _ = best.mark_best(table.rows, table.columns, store.evidence())
    found = {row.model.name for row in rows if row.cells[0] and row.cells[0].best}
    assert found == {f"m{i:02d}" for i, alike in enumerate(expected) if alike}
    assert store.reads < 25


@pytest.mark.parametrize("seed", range(20))
def test_p_lies_between_its_bounds(seed: int) -> None:
    """However two models' right answers lie, the bounds that their values and intervals give hold the paired p."""
    draw, store = np.random.default_rng(seed), Store()
    n = int(draw.integers(30, 2000))
    one = draw.random(n) < draw.uniform(0.05, 0.99)
    shared = draw.random(n) < draw.uniform(0, 1)
    other = np.where(shared, one, draw.random(n) < draw.uniform(0.05, 0.99))
    for right in (other, np.sort(other), ~one):
        pair = Pair((store.record("a", np.sort(one)[::-1]),), (store.record("b", right),))
        low, high = best._bounds(pair, luck=False)
        evidence = store.evidence()
        assert low <= tell_apart(pair, evidence.table, evidence.table).difference.p <= high + 1e-12


def three_seeds(store: Store, name: str, share: float, spread: Sequence[float], draw: Any) -> list[Record]:
    return [
        store.record(name, draw.random(2000) < share + shift, protocol=DRAWING, seed=seed)
        for seed, shift in enumerate(spread)
    ]


def test_several_seeds_are_tested_as_comparisons_test_them() -> None:
    """Where the seed matters, the p-values are those of `ssl-bench compare` over the shared seeds, Holm-corrected."""
    draw, store = np.random.default_rng(3), Store()
    spread = (0.0, 0.01, -0.01)
    models = {
        name: three_seeds(store, name, share, spread, draw)
        for name, share in (("a", 0.9), ("b", 0.895), ("c", 0.6), ("d", 0.2))
    }
    evidence = store.evidence()
    base = max(models, key=lambda name: np.mean([record.headline.value for record in models[name]]))
    others = [name for name in models if name != base]
    ps = [
        tell_apart(Pair(tuple(models[base]), tuple(models[name])), evidence.table, evidence.table).difference.p
        for name in others
    ]
    expected = {base} | {name for name, p in zip(others, holm(ps), strict=True) if p >= best.ALPHA}
    found = bold([record for records in models.values() for record in records], store.evidence())
    assert found == expected
    assert "d" not in found


def test_seeds_without_predictions_need_both() -> None:
    """Values alone are tested over seeds and over samples: a difference smaller than the seeds' luck is not told."""
    steady = [make_record("a", "svhn", DRAWING, value=0.80, seed=seed) for seed in range(3)]
    for values, kept in (((0.75, 0.85, 0.65), True), ((0.75, 0.751, 0.749), False)):
        shaky = [make_record("b", "svhn", DRAWING, value=value, seed=seed) for seed, value in enumerate(values)]
        assert ("b" in bold([*steady, *shaky])) == kept


def test_one_seed_of_a_protocol_that_draws_says_nothing() -> None:
    """With fewer than three shared seeds nothing is tested: only the best value is bold, and the column says so."""
    records = [make_record(name, protocol=DRAWING, value=value) for name, value in (("a", 0.9), ("b", 0.8999))]
    table = only(records)
    assert bold(records) == {"a"}
    assert table.columns[0].tested == "not tested (1 model)"
    assert "fewer than three seeds" in best.legend(table.columns)


def test_controls_ties_and_directions() -> None:
    """Controls are never bold and correct for nobody; equal values are bold; where lower is better, low is best."""
    control = make_record(make_model("r", adapter="random"), value=0.99)
    assert bold([control]) == set()
    assert bold([control, make_record("a", value=0.5), make_record("b", value=0.5)]) == {"a", "b"}

    def falling(name: str, value: float) -> Record:
        record = make_record(name, value=value)
        definition = dataclasses.replace(record.definition("top1"), higher_is_better=False)
        task = dataclasses.replace(record.task, metric="error", metrics={"error": definition})
        return dataclasses.replace(record, task=task, metrics={"error": record.headline})

    assert bold([falling("a", 0.9), falling("b", 0.1), falling("c", 0.1005)]) == {"b", "c"}


def test_mixed() -> None:
    """Where some predictions are at hand, the models without are tested unpaired, and the column counts both."""
    store = Store()
    records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, 20, 5))]
    lone = dataclasses.replace(store.record("c", flipped(RIGHT, 22, 7)), samples=Samples(sha("gone"), 1000, ("pred",)))
    table = only([*records, lone], store.evidence())
    assert table.columns[0].tested == "paired (1 model), unpaired (1 model)"
    assert {row.model.name for row in table.rows if row.cells[0] and row.cells[0].best} == {"a", "c"}


@pytest.mark.parametrize("error", [MissingError("gone"), UsageError("damaged")])
def test_predictions_that_cannot_be_read(error: Exception) -> None:
    """Predictions that are gone or damaged when they are read leave the unpaired test."""

    def read(record: Record) -> Predictions:
        raise error

    store = Store()
    records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, 20, 5))]
    table = only(records, Evidence(lambda record: True, read))
    assert table.columns[0].tested == "unpaired (1 model)"
    assert [cell.best for row in table.rows if (cell := row.cells[0])] == [True, True]


def test_memory(tmp_path: Path) -> None:
    """What was found is kept by content, and read no more; a damaged memory is found anew."""
    store, memory = Store(), tmp_path / "told.jsonl"
    records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, 20, 5)), store.record("c", RIGHT)]
    expected = only(records, store.evidence(memory))
    assert store.reads
    kept = memory.read_bytes()
    store.reads = 0
    assert only(records, store.evidence(memory)) == expected
    assert store.reads == 0
    assert memory.read_bytes() == kept
    memory.write_bytes(kept[:-9] + b"\xff\n")
    assert only(records, store.evidence(memory)) == expected
    assert store.reads


def test_legend() -> None:
    """Page and Markdown say what bold means, and whether tests were paired."""
    store = Store()
    records = [store.record("a", RIGHT), store.record("b", flipped(RIGHT, 20, 5))]
    paired, unpaired = (text.bold(make_board(records, evidence=found)) for found in (store.evidence(), NOTHING))
    assert "Holm" in paired
    assert "sample by sample" in paired
    assert "unpaired" not in paired
    assert "the test is unpaired" in unpaired
    assert unpaired in text.markdown(make_board(records))


def test_errors_of_means() -> None:
    """A mean's standard error is that of the mean of independent tasks, and a group's likewise."""
    table = only(record for record in make_grid(models=2, tasks=3, protocols=("knn",)))
    for row in table.rows:
        errors = [cell.error for cell in row.cells if cell and cell.error]
        assert row.mean.error == pytest.approx(np.sqrt(np.sum(np.square(errors))) / 3)


def test_errors_hold_the_seeds() -> None:
    """With several seeds, a value's standard error holds their spread over √k beside the samples'."""
    records = [make_record(value=value, seed=seed) for seed, value in enumerate((0.7, 0.75, 0.8))]
    (cell,) = only(records).rows[0].cells
    assert cell is not None
    sampling = np.sqrt(0.75 * 0.25 / 10_000)
    assert cell.error == pytest.approx(np.hypot(sampling, 0.05 / np.sqrt(3)), rel=1e-3)


def test_ranks_of_predictions() -> None:
    """With all predictions at hand, ranks are those of resampled means; controls have none."""
    draw, store = np.random.default_rng(0), Store()
    outcomes = {task: [draw.random(500) < share for share in (0.62, 0.6, 0.3)] for task in ("cifar10", "dtd")}
    records = [
        store.record(f"m{i}", right, task=task) for task, rights in outcomes.items() for i, right in enumerate(rights)
    ]
    control = make_model("r", adapter="random")
    records += [dataclasses.replace(one, model=control) for one in records if one.model.name == "m0"]
    table = only(records, store.evidence())
    order = [int(row.model.name[1]) for row in table.rows if not row.control]
    expected = rank_intervals([np.stack(rights, axis=1)[:, order] for rights in outcomes.values()])
    assert tuple(place for place in table.places.intervals if place) == expected
    assert table.places.how == RESAMPLED
    assert [place is None for place in table.places.intervals] == [row.control for row in table.rows]


def test_ranks_of_values() -> None:
    """Without predictions, ranks come from means and their errors: near models overlap, far ones do not."""
    records = [make_record(name, value=value) for name, value in (("a", 0.8), ("b", 0.798), ("c", 0.5))]
    table = only(records)
    assert table.places.how == NORMAL
    assert [(place.rank, place.low, place.high) for place in table.places.intervals if place] == [
        (1, 1, 2),
        (2, 1, 2),
        (3, 3, 3),
    ]


def test_protocols_without_a_seed_repeat_themselves() -> None:
    """Seeds that change nothing are no further evidence: the first record alone is tested."""
    store = Store()
    both = [store.record(name, right, seed=seed, protocol=make_protocol("knn")) for seed in range(3)
            for name, right in (("a", RIGHT), ("b", flipped(RIGHT, 13, 5)))]  # fmt: skip
    assert bold(both, store.evidence()) == {"a", "b"}
