"""Two stores in, verdicts out."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import ssl_bench
from ssl_bench.comparison.verdicts import judge
from ssl_bench.errors import IncomparableError, UsageError
from ssl_bench.predictions import Clusters, Multilabel, Truth
from ssl_bench.results.store import Results
from ssl_bench.statistics import Difference, of_correctness
from tests.comparison.factory import STOCHASTIC, answers, classes_of, flipped, put, put_classes, truth_of


def two(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "base", tmp_path / "cand"


def test_a_true_regression(tmp_path: Path) -> None:
    """Of 10 000 samples, 150 lost and 50 won are -1 point: regressed, with McNemar's mid-p and the samples' names."""
    base, cand = two(tmp_path)
    pred = answers("svhn", 10_000)
    put_classes(base, "svhn", pred)
    put_classes(cand, "svhn", flipped("svhn", pred, losses=150, wins=50))
    found = ssl_bench.compare(base, cand)
    (one,) = found.tasks
    assert (found.verdict, found.exit_code, one.verdict) == ("regressed", 1, "regressed")
    assert (one.losses, one.wins, one.flipped, one.answered) == (150, 50, 200, 10_000)
    assert one.difference.delta == pytest.approx(-0.01)
    assert one.difference.low < -0.01 < one.difference.high < 0
    expected = 2 * stats.binom.cdf(50, 200, 0.5) - stats.binom.pmf(50, 200, 0.5)
    assert one.difference.p == one.p_holm == pytest.approx(expected, rel=1e-9)
    assert one.flips[0].base == one.flips[0].target != one.flips[0].cand
    assert one.flips[0].sample.startswith("svhn/")


def test_nothing_changed(tmp_path: Path) -> None:
    """The same answers are non-inferior, however few they are, and so are the same answers at another confidence."""
    base, cand = two(tmp_path)
    pred = answers("tiny", 50)
    put_classes(base, "tiny", pred)
    put(cand, "tiny", classes_of(pred, confidence=0.6), truth_of("tiny", 50))
    for other in (base, cand):
        found = ssl_bench.compare(base, other)
        assert (found.verdict, found.exit_code) == ("non-inferior", 0)
        assert found.tasks[0].flipped == 0


def test_three_values(tmp_path: Path) -> None:
    """Few changes of many samples are non-inferior, many changes of few samples inconclusive, many wins improved."""
    base, cand = two(tmp_path)
    for task, n, losses, wins in (("even", 20_000, 20, 22), ("few", 300, 12, 10), ("better", 5_000, 20, 120)):
        pred = answers(task, n)
        put_classes(base, task, pred)
        put_classes(cand, task, flipped(task, pred, losses, wins))
    found = ssl_bench.compare(base, cand)
    said = {one.task: one for one in found.tasks}
    assert {name: one.verdict for name, one in said.items()} == {
        "even": "non-inferior",
        "few": "inconclusive",
        "better": "improved",
    }
    assert said["few"].detectable is not None
    assert 0.03 < said["few"].detectable < 0.06  # 2.8 · √22 / 300
    assert (found.verdict, found.exit_code) == ("inconclusive", 0)


@pytest.mark.parametrize(
    ("difference", "p", "higher", "verdict"),
    [
        (of_correctness(90, 10, 10_000), 1e-9, True, "regressed"),
        (of_correctness(30, 10, 20_000), 0.002, True, "non-inferior"),  # significant, and too small to matter
        (of_correctness(90, 10, 10_000), 1e-9, False, "improved"),
        (of_correctness(10, 90, 10_000), 1e-9, False, "regressed"),
        (of_correctness(60, 50, 10_000), 0.3, True, "inconclusive"),
        (Difference(-0.02, -0.05, 0.01, 0.2, 0.015, 9, ""), 0.2, True, "inconclusive"),
    ],
)
def test_the_rule(difference: Difference, p: float, higher: bool, verdict: str) -> None:
    """Regressed needs a corrected p below α and the margin; the worse end of the interval decides non-inferiority."""
    assert judge(difference, higher, p, alpha=0.05, margin=0.003) == verdict


def test_many_tasks_are_corrected(tmp_path: Path) -> None:
    """A task whose own p is 0.01 is no regression among twenty."""
    base, cand = two(tmp_path)
    for index in range(20):
        task = f"task{index:02d}"
        pred = answers(task, 2_000)
        put_classes(base, task, pred)
        put_classes(cand, task, flipped(task, pred, 40, 20) if index == 7 else flipped(task, pred, 1, 1))
    found = ssl_bench.compare(base, cand)
    worst = min(found.tasks, key=lambda one: one.difference.p)
    assert worst.task == "task07"
    assert worst.difference.p < 0.011
    assert worst.p_holm == pytest.approx(20 * worst.difference.p)
    assert worst.verdict == "inconclusive"
    assert [one.task for one in ssl_bench.compare(base, cand, tasks=["task07"]).regressions] == ["task07"]


def test_a_small_loss_everywhere_shows_in_the_mean(tmp_path: Path) -> None:
    """-0.3 points on each of twenty tasks of 5000 samples: no task regresses, the mean does."""
    base, cand = two(tmp_path)
    for index in range(20):
        task = f"task{index:02d}"
        pred = answers(task, 5_000)
        put_classes(base, task, pred)
        put_classes(cand, task, flipped(task, pred, 70, 55))
    found = ssl_bench.compare(base, cand)
    assert not [one for one in found.tasks if one.verdict == "regressed"]
    (mean,) = found.suites
    assert mean.difference.delta == pytest.approx(-0.003)
    assert mean.verdict == found.verdict == "regressed"
    assert mean.difference.se == pytest.approx(np.sqrt(125 - 225 / 5_000) / 5_000 / np.sqrt(20), rel=1e-6)


def test_samples_are_found_by_name_not_by_order(tmp_path: Path) -> None:
    """Rows in another order change nothing; another set of samples is refused, with how many and which."""
    base, cand = two(tmp_path)
    pred = answers("dtd", 1_000)
    put_classes(base, "dtd", pred)
    shuffled = np.random.default_rng(0).permutation(1_000)
    put_classes(cand, "dtd", flipped("dtd", pred, 5, 3), order=shuffled)
    assert (ssl_bench.compare(base, cand).tasks[0].losses, ssl_bench.compare(base, cand).tasks[0].wins) == (5, 3)
    other = tmp_path / "other"
    put_classes(other, "dtd", pred, ids=[f"dtd/{i + 3:05d}.png" for i in range(1_000)])
    with pytest.raises(IncomparableError, match=r"sample ids: .*3 only in base, such as 'dtd/00000.png'; 3 only"):
        ssl_bench.compare(base, other)


def test_labels_must_agree(tmp_path: Path) -> None:
    """The same samples with other labels are refused."""
    base, cand = two(tmp_path)
    pred, truth = answers("dtd", 100), truth_of("dtd", 100)
    put_classes(base, "dtd", pred)
    put(cand, "dtd", classes_of(pred), Truth({"test": (truth.targets + 1) % 10}, 10))
    with pytest.raises(IncomparableError, match="labels: 100 of 100 samples have another label"):
        ssl_bench.compare(base, cand)


def test_a_record_that_does_not_rest_on_its_predictions(tmp_path: Path) -> None:
    """A value that its own predictions do not give is refused, and the record is named."""
    base, cand = two(tmp_path)
    pred = answers("dtd", 100)
    put_classes(base, "dtd", pred)
    record = put_classes(cand, "dtd", flipped("dtd", pred, 3, 2))
    forged = put_classes(tmp_path / "forged", "dtd", flipped("dtd", pred, 20, 1))
    liar = dataclasses.replace(record, metrics=forged.metrics)
    with pytest.raises(UsageError, match="is stated, but the predictions give"):
        ssl_bench.compare(Results(base), [liar], samples=[cand])


def test_without_predictions_the_verdict_is_at_most_inconclusive(tmp_path: Path) -> None:
    """Records without their per-sample files give an unpaired interval, marked, and no verdict; the same digest of
    predictions still says that nothing changed."""
    base, cand = two(tmp_path)
    pred = answers("svhn", 10_000)
    put_classes(base, "svhn", pred)
    put_classes(cand, "svhn", flipped("svhn", pred, 600, 10))
    found = ssl_bench.compare(Results(base).records(), Results(cand).records())
    (one,) = found.tasks
    assert (one.verdict, one.paired, one.losses) == ("inconclusive", False, None)
    assert one.difference.delta == pytest.approx(-0.059)
    assert "unpaired" in one.notes[0]
    values = [Results(root).records()[0].headline.value for root in (base, cand)]
    expected = stats.norm.ppf(0.975) * np.sqrt(sum(value * (1 - value) / 10_000 for value in values))
    assert one.difference.high - one.difference.delta == pytest.approx(expected, rel=0.01)
    same = ssl_bench.compare(Results(base).records(), Results(base).records())
    assert same.verdict == "non-inferior"


# ---------------------------------------------------------------- seeds


def seeds(root: Path, shifts: list[int], n: int = 4_000) -> None:
    """Put one record per seed: `shifts[seed]` samples more right than wrong, beside 40 that flip either way."""
    pred = answers("cars", n)
    for seed, shift in enumerate(shifts):
        said = flipped("cars", pred, 40 + max(0, -shift), 40 + max(0, shift), seed=seed + 17 * len(shifts))
        put_classes(root, "cars", said, protocol=STOCHASTIC, seed=seed)


def test_one_seed_of_a_stochastic_protocol_is_inconclusive(tmp_path: Path) -> None:
    """A drop of 5 points of one seed is no verdict, unless the seed is taken for all the luck there is."""
    base, cand = two(tmp_path)
    seeds(base, [0])
    seeds(cand, [-200])
    (one,) = ssl_bench.compare(base, cand).tasks
    assert (one.verdict, one.enough) == ("inconclusive", False)
    assert "1 of the 3 shared seeds" in one.notes[-1]
    assert ssl_bench.compare(base, cand, conditional=True).verdict == "regressed"


def test_seeds_are_tested_as_pairs_and_by_sample(tmp_path: Path) -> None:
    """A loss of about two points in each of five seeds regressed; the same pooled loss by one unlucky seed did not."""
    base, even, unlucky = tmp_path / "base", tmp_path / "even", tmp_path / "unlucky"
    seeds(base, [0, 0, 0, 0, 0])
    seeds(even, [-84, -80, -76, -82, -78])
    seeds(unlucky, [0, 0, -400, 0, 0])
    one, other = (ssl_bench.compare(base, cand).tasks[0] for cand in (even, unlucky))
    assert one.difference.delta == pytest.approx(other.difference.delta)
    assert (one.verdict, other.verdict) == ("regressed", "inconclusive")
    values = [[r.headline.value for r in Results(root).records()] for root in (base, unlucky)]
    assert other.difference.p >= stats.ttest_rel(*values).pvalue - 1e-12


def test_only_shared_seeds_are_compared(tmp_path: Path) -> None:
    """A seed that the candidate lacks is refused; allowed to, the shared ones are compared."""
    base, cand = two(tmp_path)
    seeds(base, [0, 0, 0, 0])
    seeds(cand, [0, 0, 0])
    with pytest.raises(IncomparableError, match=r"seeds: \[0,1,2,3\] ≠ \[0,1,2\], without \[3\]"):
        ssl_bench.compare(base, cand)
    assert ssl_bench.compare(base, cand, allow=["seeds"]).tasks[0].seeds == (0, 1, 2)


# ---------------------------------------------------------------- metrics that are no mean over samples


def test_mean_over_classes(tmp_path: Path) -> None:
    """The mean over classes is tested on resamples, and its spread is that of resampling samples one by one."""
    base, cand = two(tmp_path)
    n, classes = 600, 7
    pred, truth = answers("pets", n, 0.8, classes), truth_of("pets", n, classes)
    other = flipped("pets", pred, 40, 10, classes=classes)
    for root, said in ((base, pred), (cand, other)):
        put(root, "pets", classes_of(said, classes), truth, metric="mean_per_class")
    (one,) = ssl_bench.compare(base, cand).tasks
    assert one.verdict == "regressed"
    draw, values = np.random.default_rng(3), []
    for _ in range(3000):
        rows = draw.integers(n, size=n)
        rights = [said[rows] == truth.targets[rows] for said in (pred, other)]
        counts = np.bincount(truth.targets[rows], minlength=classes)
        means = [(np.bincount(truth.targets[rows][right], minlength=classes) / counts).mean() for right in rights]
        values.append(means[1] - means[0])
    assert one.difference.se == pytest.approx(np.std(values), rel=0.05)


def test_average_precision_of_many_labels(tmp_path: Path) -> None:
    """VOC's mAP is tested on weighted resamples whose spread is that of drawing samples one by one."""
    from ssl_bench import metrics

    base, cand = two(tmp_path)
    draw = np.random.default_rng(0)
    n, classes = 250, 4
    targets = (draw.random((n, classes)) < 0.3).astype(np.int64)
    scores = [(targets + noise * draw.normal(size=(n, classes))).astype(np.float32) for noise in (0.6, 1.2)]
    truth = Truth({"test": targets}, classes)
    for name in ("voc07_map", "mean_average_precision"):
        for root, said in ((base / name, scores[0]), (cand / name, scores[1])):
            put(root, "voc", Multilabel(said), truth, metric=name)
        (one,) = ssl_bench.compare(base / name, cand / name).tasks
        assert one.verdict == "regressed"
        values = []
        for _ in range(400):
            rows = draw.integers(n, size=n)
            drawn = [metrics.get(name).number(Multilabel(s[rows]), Truth({"test": targets[rows]}, 4)) for s in scores]  # type: ignore[misc]
            values.append(drawn[1] - drawn[0])
        assert one.difference.se == pytest.approx(np.std(values), rel=0.15)


def test_clusters(tmp_path: Path) -> None:
    """Clusters bear no names: the same groups under other numbers are the same accuracy, and no answer flipped."""
    base, cand = two(tmp_path)
    pred = answers("coil", 400)
    for root, said in ((base, pred), (cand, (pred + 3) % 10)):
        put(root, "coil", Clusters(said), truth_of("coil", 400), metric="hungarian_accuracy")
    (one,) = ssl_bench.compare(base, cand).tasks
    assert (one.losses, one.wins, one.flipped) == (0, 0, None)
