"""Simulated truth against `ssl_bench.statistics` and the rules of `compare`: coverage, false alarms, power, time.

A 95 % interval should hold the truth in 93 to 97 % of simulations at the sizes in use, and a comparison of 20 tasks
between which nothing differs should find a regression in at most 5 % of them.

Run: python benchmarks/statistics_coverage.py [--runs 2000]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from ssl_bench import metrics
from ssl_bench.comparison.resampled import differences
from ssl_bench.comparison.verdicts import judge
from ssl_bench.predictions import Classes, Truth
from ssl_bench.statistics import (
    Difference,
    bootstrap_interval,
    bootstrapped,
    holm,
    of_correctness,
    of_means,
    of_seeds_and_items,
    power,
    resampled_means,
    seeds_interval,
    suite_mean,
    tango_interval,
    unpaired,
    wilson,
)

SIZES = tuple(int(n) for n in np.geomspace(1_000, 26_000, 20))
"""Test samples of the 20 tasks: as VTAB's, 1880 to 73 728, and smaller."""
MARGINS = {"margins 0.3 and 0.2 pt": (0.003, 0.002), "no margins": (0.0, 0.0)}
"""Of a task and of the mean, as fractions."""
Draw = np.random.Generator
Simulation = Callable[[Draw], bool]
"""One experiment: whether the interval held the truth."""


def proportion(n: int, p: float) -> Simulation:
    def run(draw: Draw) -> bool:
        low, high = wilson(draw.binomial(n, p), n)
        return low <= p <= high

    return run


def seed_mean(k: int) -> Simulation:
    def run(draw: Draw) -> bool:
        low, high = seeds_interval(draw.normal(0.8, 0.005, k).tolist())
        return low <= 0.8 <= high

    return run


def by_image(n: int) -> Simulation:
    def run(draw: Draw) -> bool:
        low, high = bootstrap_interval(draw.beta(0.6, 0.4, n), seed=int(draw.integers(1 << 30)))
        return low <= 0.6 <= high

    return run


def by_cluster(clusters: int) -> Simulation:
    """Clusters of 1 to 20 images whose accuracies differ."""

    def run(draw: Draw) -> bool:
        names = np.repeat(np.arange(clusters), draw.integers(1, 21, clusters))
        right = draw.random(len(names)) < draw.beta(4, 2, clusters)[names]
        low, high = bootstrap_interval(right.astype(float), clusters=names, seed=int(draw.integers(1 << 30)))
        return low <= 4 / 6 <= high

    return run


def paired_correctness(n: int, discordance: float, delta: float) -> Simulation:
    def run(draw: Draw) -> bool:
        losses, wins, _ = draw.multinomial(n, flips(discordance, delta))
        low, high = tango_interval(int(losses), int(wins), n)
        return low <= delta <= high

    return run


def flips(discordance: float, delta: float) -> list[float]:
    """Return the chances that a sample is lost, won, or neither."""
    return [(discordance - delta) / 2, (discordance + delta) / 2, 1 - discordance]


def paired_precision(n: int) -> Simulation:
    """Average precisions of queries, of which most are alike on both sides."""

    def run(draw: Draw) -> bool:
        change = np.where(draw.random(n) < 0.2, draw.beta(2, 2, n) - 0.55, 0.0)
        found = of_means(change)
        return found.low <= 0.2 * -0.05 <= found.high

    return run


def stochastic(draw: Draw, n: int, k: int, seed_sd: float, delta: float = 0.0) -> np.ndarray:
    """Return differences (seeds, samples) of correctness: 8 % discordant, and each seed has its own shift."""
    shifts = delta + draw.normal(0, seed_sd * np.sqrt(2), k)
    lean = draw.normal(0, 0.01, n)  # samples on which the two sides truly differ
    uniform = draw.random((k, n))
    lost = 0.04 - (shifts[:, None] + lean) / 2
    won = 0.04 + (shifts[:, None] + lean) / 2
    return np.where(uniform < lost, -1.0, np.where(uniform > 1 - won, 1.0, 0.0))


def over_seeds(n: int, k: int, seed_sd: float) -> Simulation:
    def run(draw: Draw) -> bool:
        found = of_seeds_and_items(stochastic(draw, n, k, seed_sd, -0.005))
        return found.low <= -0.005 <= found.high

    return run


def mean_over_classes(n: int, classes: int) -> Simulation:
    """Classes of unequal size, of which each is lost a little more than it is won."""
    shares = np.geomspace(1, 10, classes) / np.geomspace(1, 10, classes).sum()

    def run(draw: Draw) -> bool:
        targets = draw.choice(classes, n, p=shares)
        uniform = draw.random(n)
        base = np.where(uniform < 0.8, targets, (targets + 1) % classes)
        changed = draw.random(n)
        lost, won = (uniform < 0.8) & (changed < 0.05), (uniform >= 0.8) & (changed < 0.10)
        cand = np.where(lost, (targets + 1) % classes, np.where(won, targets, base))
        truth = Truth({"test": targets}, classes)
        said = [Classes(pred[:, None], np.ones(n, dtype=np.float32)) for pred in (base, cand)]
        number = metrics.get("mean_per_class").number
        assert number is not None
        drawn = differences("mean_per_class", *said, truth)
        assert drawn is not None
        found = bootstrapped(drawn, number(said[1], truth) - number(said[0], truth), n)
        return found.low <= 0.2 * 0.10 - 0.8 * 0.05 <= found.high

    return run


def suite(discordance: float, delta: float) -> Simulation:
    def run(draw: Draw) -> bool:
        found = suite_mean(deterministic(draw, discordance, delta))
        return found.low <= delta <= found.high

    return run


def two_samples(n: int) -> Simulation:
    def run(draw: Draw) -> bool:
        a, b = draw.binomial(n, [0.8, 0.79]) / n
        errors = [float(np.sqrt(p * (1 - p) / n)) for p in (a, b)]
        found = unpaired(a, errors[0], b, errors[1])
        return found.low <= -0.01 <= found.high

    return run


COVERAGE: dict[str, Simulation] = {
    "Wilson, n 200, p 0.90": proportion(200, 0.90),
    "Wilson, n 1000, p 0.98": proportion(1_000, 0.98),
    "Wilson, n 10000, p 0.80": proportion(10_000, 0.80),
    "t over 3 seeds": seed_mean(3),
    "t over 5 seeds": seed_mean(5),
    "bootstrap by image, n 200": by_image(200),
    "bootstrap by image, n 1000": by_image(1_000),
    "bootstrap by cluster, 30": by_cluster(30),
    "bootstrap by cluster, 100": by_cluster(100),
    "Tango, n 360, 3 % discordant": paired_correctness(360, 0.03, 0.0),
    "Tango, n 1000, 3 % discordant": paired_correctness(1_000, 0.03, 0.0),
    "Tango, n 10000, 1 % discordant": paired_correctness(10_000, 0.01, -0.003),
    "Tango, n 10000, 8 % discordant": paired_correctness(10_000, 0.08, -0.01),
    "paired t over queries, n 70": paired_precision(70),
    "paired t over queries, n 1000": paired_precision(1_000),
    "3 seeds, n 2000, seeds' sd 0.5 pt": over_seeds(2_000, 3, 0.005),
    "3 seeds, n 26000, seeds' sd 0.2 pt": over_seeds(26_000, 3, 0.002),
    "5 seeds, n 2000, seeds' sd 0.5 pt": over_seeds(2_000, 5, 0.005),
    "5 seeds, n 2000, seeds' sd 0.2 pt": over_seeds(2_000, 5, 0.002),
    "5 seeds, n 2000, which change nothing": over_seeds(2_000, 5, 0.0),
    "paired bootstrap, mean over 37 classes, n 3669": mean_over_classes(3_669, 37),
    "mean over 20 tasks, 3 % discordant": suite(0.03, -0.002),
    "unpaired, two samples of 10000": two_samples(10_000),
}


def coverage(simulation: Simulation, runs: int, seed: int = 0) -> float:
    """Return in which share of `runs` simulations the interval held the truth."""
    draw = np.random.default_rng(seed)
    return sum(simulation(draw) for _ in range(runs)) / runs


def deterministic(draw: Draw, discordance: float, delta: float = 0.0) -> list[Difference]:
    """Return the differences of 20 tasks under a deterministic protocol."""
    found = []
    for n in SIZES:
        losses, wins, _ = draw.multinomial(n, flips(discordance, delta))
        found.append(of_correctness(int(losses), int(wins), n))
    return found


def seeded(draw: Draw, k: int, seed_sd: float, delta: float = 0.0) -> list[Difference]:
    """Return the differences of 20 tasks of 1000 samples over k seeds."""
    return [of_seeds_and_items(stochastic(draw, 1_000, k, seed_sd, delta)) for _ in SIZES]


def alarms(found: list[Difference], margin: float, suite_margin: float) -> tuple[bool, bool]:
    """Return whether any task, and whether the mean, would be called regressed."""
    corrected = holm([one.p for one in found])
    tasks = [judge(one, True, p, 0.05, margin) for one, p in zip(found, corrected, strict=True)]
    mean = suite_mean(found)
    return "regressed" in tasks, judge(mean, True, mean.p, 0.05, suite_margin) == "regressed"


def alarm_rates(
    simulate: Callable[[Draw], list[Difference]], runs: int, margins: Sequence[tuple[float, float]], seed: int = 0
) -> list[tuple[float, float, float]]:
    """Return, for each pair of margins, how often a task, the mean, and either is called regressed."""
    draw = np.random.default_rng(seed)
    found = np.zeros((len(margins), 3))
    for _ in range(runs):
        drawn = simulate(draw)
        for place, pair in enumerate(margins):
            task, mean = alarms(drawn, *pair)
            found[place] += (task, mean, task or mean)
    return [tuple(row) for row in (found / runs).tolist()]


def report(runs: int) -> Iterator[str]:
    yield f"coverage of 95 % intervals, {runs} simulations each (standard error {95 / np.sqrt(runs) * 0.229:.2f})"
    for name, simulation in COVERAGE.items():
        found = 100 * coverage(simulation, runs)
        yield f"  {name:<48} {found:5.1f} %{'' if 93 <= found <= 97 else '   OUTSIDE 93..97'}"
    few, many = max(200, runs // 4), 10 * runs
    head = "  task    mean  either"
    yield f"\nfalse alarms of a comparison of 20 tasks between which nothing differs, %{head:>32}"
    for name, simulate, count in (
        *((f"{100 * d:g} % discordant", partial(deterministic, discordance=d), many) for d in (0.01, 0.03, 0.08)),
        *((f"{k} seeds, sd 0.5 pt", partial(seeded, k=k, seed_sd=0.005), few) for k in (3, 5)),
    ):
        for words, rates in zip(MARGINS, alarm_rates(simulate, count, list(MARGINS.values())), strict=True):
            yield f"  {name:<24} {words:<30} {count:>8} runs      " + "".join(f"{100 * rate:8.1f}" for rate in rates)
    yield f"\npower: a true loss on every task is found in so many %, margins 0.3 and 0.2 pt{head:>26}"
    for discordance in (0.01, 0.03, 0.08):
        for delta in (-0.003, -0.005, -0.01):
            simulate = partial(deterministic, discordance=max(discordance, -delta), delta=delta)
            (rates,) = alarm_rates(simulate, few, [MARGINS["margins 0.3 and 0.2 pt"]])
            words = f"{100 * delta:+.1f} pt, {100 * discordance:g} % discordant"
            yield f"  {words:<55} {few:>8} runs      " + "".join(f"{100 * rate:8.1f}" for rate in rates)
    yield "\npower of one task alone (formula; simulated): n 10000, 8 % discordant"
    for delta in (0.005, 0.01):
        draw = np.random.default_rng(1)
        hits = [
            of_correctness(int(a), int(b), 10_000).p < 0.05
            for a, b, _ in draw.multinomial(10_000, flips(0.08, delta), runs)
        ]
        yield f"  {100 * delta:.1f} pt: {100 * power(delta, 10_000, 0.08):.0f} %; {100 * np.mean(hits):.0f} %"
    yield f"\n10 000 resamples of 20 tasks, {sum(SIZES):,} samples, shared by all models"
    for models in (2, 4, 8):
        yield f"  {models} models: {resampling_seconds(models):.2f} s"


def resampling_seconds(models: int) -> float:
    """Return the seconds of 10,000 resamples of correctness on 20 tasks."""
    draw = np.random.default_rng(0)
    outcomes = [draw.random((n, models)) < 0.8 for n in SIZES]
    start = time.perf_counter()
    np.mean([resampled_means(task, 10_000, seed=i) for i, task in enumerate(outcomes)], axis=0)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2_000)
    start = time.perf_counter()
    for line in report(parser.parse_args().runs):
        print(line, flush=True)
    print(f"\nall in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
